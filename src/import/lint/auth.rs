//! Group A: passwords that do not fit. None of them is ever shown.

use super::start::is_known;
use super::{Hit, all_of, hit};
use crate::import::images;
use crate::import::launch::Program;
use crate::import::stack::{Stack, Use, is_loopback};

/// The password that a server asks for: of `requirepass` or of the default user.
fn asked(one: &Program) -> Option<String> {
    let word = one.settings.word("requirepass").filter(|word| !word.is_empty()).map(str::to_owned);
    word.or_else(|| {
        let users = one.settings.every("user").filter(|line| line.word(0) == Some("default"));
        users.flat_map(|line| &line.words).find_map(|word| word.text.strip_prefix('>').map(str::to_owned))
    })
}

fn fits(given: Option<&str>, wanted: &str) -> bool {
    given.is_some_and(|given| given == wanted || !is_known(given) || !is_known(wanted))
}

pub(super) fn auth_mismatch(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    let wanted: Vec<(usize, String)> =
        stack.redis.iter().enumerate().filter_map(|(n, one)| Some((n, asked(one)?))).collect();
    let Some((_, first)) = wanted.first().cloned() else { return hits };
    let mut lacking = Vec::new();
    for (n, one) in stack.redis.iter().enumerate() {
        // Bitnami's first master gets its masterauth in another way, and nodes of unknown configuration in any.
        let unknown = one.guessed
            || one.config.as_ref().is_some_and(|config| config.lines.is_none())
            || one.made_by_image && n == 0;
        let others = wanted.iter().filter(|(other, _)| *other != n);
        let given = one.settings.word("masterauth").filter(|word| !word.is_empty());
        if !unknown && others.into_iter().any(|(_, password)| !fits(given, password)) {
            let place = one.settings.get("masterauth").map_or(one.home(), |line| line.place().clone());
            lacking.push((place, one.name.clone()));
        }
    }
    hits.extend(all_of(lacking, |names| format!("{names}: `masterauth` is absent or differs from the password of the others: as a replica it gets -NOAUTH, and its link stays down")));
    if wanted.iter().any(|(_, password)| is_known(password) && is_known(&first) && *password != first) {
        hits.push(hit(
            &stack.redis[wanted[0].0].home(),
            "the Redis nodes have different passwords, and Sentinel has one for all of them",
        ));
    }
    let mut blind = Vec::new();
    for one in stack.sentinels.iter().filter(|one| one.config.as_ref().is_none_or(|config| config.lines.is_some())) {
        let line = one.settings.of_master("sentinel auth-pass", &stack.master_name);
        if !fits(line.and_then(|line| line.word(1)), &first) && stack.monitor(one).is_some() {
            let place = line.or(stack.monitor(one)).map_or(one.home(), |line| line.place().clone());
            blind.push((place, one.name.clone()));
        }
    }
    hits.extend(all_of(blind, |names| {
        format!("{names}: `sentinel auth-pass` is absent or wrong: a healthy master is +sdown after down-after")
    }));
    hits.extend(between_sentinels(stack));
    hits
}

fn between_sentinels(stack: &Stack) -> Option<Hit> {
    let passwords: Vec<&str> = stack
        .sentinels
        .iter()
        .filter_map(|one| one.settings.word("requirepass"))
        .filter(|word| !word.is_empty())
        .collect();
    let told = stack.sentinels.iter().any(|one| one.settings.get("sentinel sentinel-pass").is_some());
    let differs = passwords.iter().any(|word| is_known(word) && is_known(passwords[0]) && *word != passwords[0]);
    let some = !passwords.is_empty() && passwords.len() < stack.sentinels.len();
    let first = stack.sentinels.iter().find(|one| one.settings.get("requirepass").is_some())?;
    (!told && (differs || some)).then(|| {
        hit(
            &first.settings.get("requirepass").map_or(first.home(), |line| line.place().clone()),
            "the Sentinels do not all have the same password: they cannot talk to each other",
        )
    })
}

pub(super) fn check_auth_mismatch(stack: &Stack) -> Vec<Hit> {
    let mut hits = Vec::new();
    for pool in stack.pools.iter().filter(|pool| matches!(pool.used, Use::Write | Use::Read)) {
        let nodes: Vec<&Program> = pool
            .nodes
            .iter()
            .flatten()
            .filter_map(|n| stack.redis.get(*n))
            .filter(|one| !one.guessed && one.config.as_ref().is_none_or(|config| config.lines.is_some()))
            .collect();
        if nodes.is_empty() || pool.back.steps.is_empty() || !pool.back.checks_answers() {
            continue;
        }
        let wanted = nodes.iter().filter(|one| asked(one).is_some()).count();
        match pool.back.sends("auth") {
            Some(text) if wanted == 0 => hits.push(hit(
                text.place(),
                format!(
                    "pool {} sends AUTH to servers that have no password: every server is DOWN",
                    pool.back.name.text
                ),
            )),
            None if wanted > 0 => hits.push(hit(
                pool.place(),
                format!(
                    "the servers of pool {} have a password, and its check sends no AUTH: every server is DOWN",
                    pool.back.name.text
                ),
            )),
            Some(text) => {
                let password = nodes.iter().find_map(|one| asked(one)).unwrap_or_default();
                if is_known(&password) && is_known(&text.text) && !text.text.contains(&password) {
                    hits.push(hit(
                        text.place(),
                        format!(
                            "the check of pool {} sends another password than its servers have: every server is DOWN",
                            pool.back.name.text
                        ),
                    ));
                }
            }
            None => {}
        }
    }
    hits
}

pub(super) fn check_matches_replicas(stack: &Stack) -> Vec<Hit> {
    use crate::import::haproxy_cfg::Step;
    let mut hits = Vec::new();
    for pool in stack.pools.iter().filter(|pool| pool.used == Use::Write) {
        let mut sent = String::new();
        for step in &pool.back.steps {
            match step {
                Step::Send(text) => sent = text.text.to_ascii_lowercase(),
                Step::Expect(_, text) if text.text.trim() == "master" => {
                    let named = stack.redis.iter().any(|one| {
                        one.name.contains("master")
                            || one
                                .container
                                .as_ref()
                                .is_some_and(|container| container.names.iter().any(|name| name.contains("master")))
                    });
                    let by_name = sent.contains("role") && !sent.contains("info") && named;
                    if sent.contains("info") || by_name {
                        let why = if by_name {
                            "a replica's ROLE names its master"
                        } else {
                            "a replica's INFO holds master_host"
                        };
                        hits.push(hit(
                            text.place(),
                            format!(
                                "pool {} waits for `master`, and {why}: the check passes on every node",
                                pool.back.name.text
                            ),
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    hits
}

pub(super) fn protected_mode(stack: &Stack) -> Vec<Hit> {
    let mut found = Vec::new();
    for one in stack.redis.iter().filter(|_| stack.redis.len() + stack.sentinels.len() > 1) {
        let explicit =
            one.settings.get("protected-mode").filter(|line| line.source().through.is_empty() || !one.made_by_image);
        let on = match explicit {
            Some(line) => line.word(0).is_some_and(|word| word.eq_ignore_ascii_case("yes")),
            // The official image is built with the default turned off.
            None => {
                one.image.as_ref().is_some_and(|image| image.kind == images::Kind::Other)
                    && one.config.as_ref().is_some_and(|config| config.lines.is_some())
                    && one.settings.get("protected-mode").is_none()
            }
        };
        let bind = one.settings.get("bind");
        let open =
            bind.is_none_or(|bind| bind.words.iter().any(|word| !is_loopback(word.text.trim_start_matches('-'))));
        let accounts = one.settings.every("user").count() > 0;
        // Up to 6.2 any `bind` turned it off; 7.0 looks at the password alone.
        let counts = bind.is_none() || !one.is_older_than(7, 0);
        if on && open && counts && asked(one).is_none() && !accounts && !one.made_by_image {
            found.push((explicit.map_or(one.home(), |line| line.place().clone()), one.name.clone()));
        }
    }
    all_of(found, |names| {
        format!("{names}: protected-mode is on, and there is no password and no `bind`: everybody else gets -DENIED")
    })
}
