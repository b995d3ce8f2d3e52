//! Which part of a sweep a process works on: said by the user, or by the engine that started it.

use crate::explore::sweep::Shard;

/// Reads `I/N`, `auto` or `auto/N`; `variable` answers the environment.
pub(super) fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, String> {
    let usage = || "a part such as 0/4 to 3/4, `auto` or `auto/N`".to_owned();
    let count = |text: &str| text.parse::<u64>().ok().filter(|of| *of > 0).ok_or_else(usage);
    let number = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => text.trim().parse::<u64>().map(Some).map_err(|_| format!("{name} is `{text}`, no whole number")),
    };
    let (index, of) = match text.split_once('/') {
        Some((index, of)) => (index, Some(count(of)?)),
        None if text == "auto" => ("auto", None),
        None => return Err(usage()),
    };
    let (index, of) = match index {
        "auto" => match (number("SLURM_ARRAY_TASK_ID")?, number("JOB_COMPLETION_INDEX")?) {
            // An array may begin at any number and leave some out.
            (Some(id), _) => {
                let (first, step) = (number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0), number("SLURM_ARRAY_TASK_STEP")?);
                let step = step.unwrap_or(1).max(1);
                let place = id.checked_sub(first).filter(|place| place % step == 0);
                let place = place.ok_or_else(|| format!("task {id} is not one of {first}, {}, …", first + step))?;
                (place / step, of.or(number("SLURM_ARRAY_TASK_COUNT")?))
            }
            (None, Some(index)) => (index, of),
            (None, None) => return Err("neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set".into()),
        },
        index => (index.parse().map_err(|_| usage())?, of),
    };
    let of = of.ok_or("how many parts? Write auto/N")?;
    if index >= of {
        return Err(format!("part {index} of {of}: parts are numbered from 0 to {}", of - 1));
    }
    Ok(Shard { index, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<(u64, u64), String> {
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        parse(text, variable).map(|shard| (shard.index, shard.of))
    }

    #[test]
    fn every_way_to_say_a_part_is_understood() {
        assert_eq!(read("3/4", &[]), Ok((3, 4)));
        assert_eq!(read("auto/8", &[("JOB_COMPLETION_INDEX", "7")]), Ok((7, 8)));
        let array = |id, min, step, count| {
            read(
                "auto",
                &[
                    ("SLURM_ARRAY_TASK_ID", id),
                    ("SLURM_ARRAY_TASK_MIN", min),
                    ("SLURM_ARRAY_TASK_STEP", step),
                    ("SLURM_ARRAY_TASK_COUNT", count),
                    ("JOB_COMPLETION_INDEX", "99"),
                ],
            )
        };
        assert_eq!(array("0", "0", "1", "8"), Ok((0, 8)));
        assert_eq!(array("8", "1", "1", "8"), Ok((7, 8)));
        assert_eq!(array("14", "10", "2", "5"), Ok((2, 5)));
        assert!(array("13", "10", "2", "5").is_err_and(|text| text.contains("10, 12")));
        assert!(array("3", "4", "1", "5").is_err());
        assert_eq!(read("auto/3", &[("SLURM_ARRAY_TASK_ID", "2")]), Ok((2, 3)));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "auto", "auto/4", "1", "4/4", "0/0", "-1/4", "1/x", "x/4", "1/2/3"] {
            assert!(read(text, &[]).is_err(), "{text}");
        }
        assert!(read("auto", &[("JOB_COMPLETION_INDEX", "1")]).is_err_and(|text| text.contains("auto/N")));
        assert!(read("auto/4", &[("JOB_COMPLETION_INDEX", "4")]).is_err());
        assert!(read("auto/4", &[("JOB_COMPLETION_INDEX", "one")]).is_err_and(|text| text.contains("one")));
    }
}
