//! Fault scripts that fit a stack.

use super::stack::Stack;

/// The situations and what they are.
pub(crate) const SITUATIONS: [(&str, &str); 9] = [
    ("master-dies", "the machine of the first master vanishes"),
    ("master-hangs", "the first master stands still and goes on later"),
    ("restarts", "the first master is killed and started again one second later"),
    ("returns", "the first master is killed and started again when another one is master"),
    ("cut-off", "the first master, HAProxy and the clients are cut off from all others, and later joined again"),
    ("machine", "all programs on the machine of the first master vanish"),
    ("bad-link", "one Sentinel hears nothing of the master for a while"),
    ("stalls", "the master is busy for 1.2 s, five times"),
    ("none", "nothing happens"),
];

/// The faults of a situation as TOML, and how long the run is, in seconds.
pub(crate) fn script(stack: &Stack, name: &str) -> (String, u64) {
    let notice = (stack.down_after().clamp(0, 600_000) as u64).div_ceil(1_000);
    let mut out = String::new();
    let mut fault = |at: u64, action: &str, rest: &str| {
        out.push_str(&format!("\n[[fault]]\nat = \"{at}s\"\naction = \"{action}\"\n{rest}"));
    };
    let long = notice + 40;
    let seconds = match name {
        "master-hangs" => {
            fault(0, "pause", "node = \"redis-1\"\n");
            fault(notice + 15, "resume", "node = \"redis-1\"\n");
            long + 20
        }
        "restarts" => {
            // Only what is written after time 0 counts as lost.
            fault(5, "kill", "node = \"redis-1\"\n");
            fault(6, "start", "node = \"redis-1\"\n");
            long + 5
        }
        "returns" => {
            fault(0, "kill", "node = \"redis-1\"\n");
            fault(notice + 10, "start", "node = \"redis-1\"\n");
            long + 20
        }
        "cut-off" => {
            let (near, far) = sides(stack);
            fault(0, "partition", &format!("groups = [[{near}], [{far}]]\n"));
            fault(notice + 20, "heal", "");
            long + 20
        }
        "machine" => {
            let all = on_the_masters_machine(stack);
            for node in &all {
                fault(0, "power-off", &format!("node = \"{node}\"\n"));
            }
            if all.iter().any(|node| node == "haproxy") || all.len() == stack.redis.len() + stack.sentinels.len() {
                all.iter().for_each(|node| fault(notice + 20, "start", &format!("node = \"{node}\"\n")));
            }
            long + 20
        }
        "bad-link" if !stack.sentinels.is_empty() => {
            fault(0, "cut", "from = \"redis-1\"\nto = \"sentinel-1\"\n");
            fault(notice + 7, "heal", "");
            long
        }
        "stalls" => {
            (0..5).for_each(|n| fault(8 * n, "stall", "node = \"redis-1\"\nfor = \"1200ms\"\n"));
            60
        }
        "none" | "bad-link" => 30,
        _ => {
            fault(0, "power-off", "node = \"redis-1\"\n");
            long
        }
    };
    (out, seconds.max(30))
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

/// Who is cut off with the first master, and all others.
fn sides(stack: &Stack) -> (String, String) {
    let mut near = vec!["redis-1".to_owned()];
    if stack.write.is_some() {
        near.push("haproxy".to_owned());
    }
    near.push("clients".to_owned());
    let mut far: Vec<String> = (2..=stack.redis.len()).map(|n| format!("redis-{n}")).collect();
    far.extend((1..=stack.sentinels.len()).map(|n| format!("sentinel-{n}")));
    (quoted(&near), quoted(&far))
}

/// The nodes on the machine of the first master; on one machine, all.
fn on_the_masters_machine(stack: &Stack) -> Vec<String> {
    let machine = |one: &super::launch::Program| match stack.machines.len() {
        0 | 1 if !stack.kubernetes => None,
        _ if stack.kubernetes => Some(one.name.clone()),
        _ => one.container.as_ref().map(|container| container.machine.to_string()),
    };
    let Some(first) = stack.redis.first() else { return Vec::new() };
    let here = machine(first);
    let nodes = |all: &[super::launch::Program], kind: &str| -> Vec<String> {
        all.iter()
            .enumerate()
            .filter(|(_, one)| machine(one) == here)
            .map(|(n, _)| format!("{kind}-{}", n + 1))
            .collect()
    };
    let mut all = nodes(&stack.redis, "redis");
    all.extend(nodes(&stack.sentinels, "sentinel"));
    if let Some(pool) = stack.write_pool()
        && stack.proxies.len() == 1
        && machine(&stack.proxies[pool.proxy]) == here
    {
        all.push("haproxy".to_owned());
    }
    all
}
