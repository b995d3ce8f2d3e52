//! Rules of the settings that types do not tell.

use crate::kernel::Span;
use crate::record::is_master_name;
use crate::scenario::error::Finding;
use crate::scenario::plan::Stack;
use crate::scenario::reader::{Places, Reader};
use crate::{haproxy, redis, sentinel};

/// What Sentinel itself would refuse, and a quorum that no vote can reach.
pub(super) fn check_sentinel(
    reader: &mut Reader,
    config: &sentinel::Config,
    places: &Places,
    stack: Stack,
    in_stack: &Places,
) {
    let count = u32::from(stack.sentinels);
    if config.quorum == 0 {
        let finding = Finding::new("the quorum is 0", places.value("quorum"), "must be 1 or greater");
        reader.report(finding.help(format!("a majority of {count} Sentinels is {}", count / 2 + 1)));
    } else if config.quorum > count {
        let message = format!("the quorum is {}, but there {}", config.quorum, are_only(count));
        let sentinels = format!("only {count}");
        let quorum = "can never be reached";
        let finding = match (places.has("quorum"), in_stack.has("sentinels")) {
            (true, true) => {
                Finding::new(message, places.value("quorum"), quorum).and(in_stack.value("sentinels"), sentinels)
            }
            (true, false) => Finding::new(message, places.value("quorum"), quorum),
            (false, _) => Finding::new(message, in_stack.value("sentinels"), sentinels),
        };
        reader.report(finding.help(format!(
            "set `quorum` in [sentinel] to {count} or less, or `sentinels` in [stack] to {} or more",
            config.quorum
        )));
    }
    if !is_master_name(&config.master_name) {
        let label = "Sentinel refuses this name";
        let finding = Finding::new("the master's name is invalid", places.value("master-name"), label);
        reader.report(finding.help("use letters, digits and the characters `.`, `-`, `_`"));
    }
    let times = [
        ("down-after-milliseconds", config.down_after_milliseconds),
        ("failover-timeout", config.failover_timeout),
        ("info-period", config.info_period),
        ("ping-period", config.ping_period),
        ("ask-period", config.ask_period),
        ("publish-period", config.publish_period),
        ("tilt-trigger", config.tilt_trigger),
        ("tilt-period", config.tilt_period),
        ("slave-reconf-timeout", config.slave_reconf_timeout),
        ("min-link-reconnect-period", config.min_link_reconnect_period),
        ("election-timeout", config.election_timeout),
        ("default-down-after", config.default_down_after),
        ("default-failover-timeout", config.default_failover_timeout),
    ];
    positive(reader, places, times.map(|(key, time)| (key, time > 0)), "give a number of milliseconds above 0");
}

/// The name under which the Sentinels monitor the master: one for all of them.
pub(super) fn master_name(reader: &mut Reader, sentinels: &[(sentinel::Config, Places)]) -> String {
    let Some((first, of_first)) = sentinels.first() else { return sentinel::Config::default().master_name };
    if let Some((other, places)) = sentinels.iter().find(|(other, _)| other.master_name != first.master_name) {
        let message = format!("the master is called `{}` here and `{}` there", other.master_name, first.master_name);
        let at = if places.has("master-name") { places } else { of_first };
        let finding =
            Finding::new(message, at.value("master-name"), "Sentinels that differ in it do not know each other");
        reader.report(finding.help("set `master-name` once, in [sentinel]"));
    }
    first.master_name.clone()
}

/// What the server itself would refuse.
pub(super) fn check_redis(reader: &mut Reader, config: &redis::Config, places: &Places) {
    let table = toml::Table::try_from(config).expect("settings are a table");
    for (key, value) in table {
        let toml::Value::Integer(value) = value else { continue };
        if let Some(why) = redis::out_of_range(&key, value as u64) {
            let finding = Finding::new(format!("`{key}` cannot be {value}"), places.value(&key), why);
            reader.report(finding.help("the server would not start with it (config.c)"));
        }
    }
}

/// What HAProxy itself would refuse or warn of.
pub(super) fn check_haproxy(reader: &mut Reader, config: &haproxy::Config, places: &Places) {
    let spans = [
        ("inter", Some(config.inter)),
        ("fastinter", config.fastinter),
        ("downinter", config.downinter),
        ("timeout connect", Some(config.timeout_connect)),
        ("timeout client", Some(config.timeout_client)),
        ("timeout server", Some(config.timeout_server)),
        ("timeout tunnel", config.timeout_tunnel),
        ("timeout check", config.timeout_check),
    ];
    if config.timeout_queue.is_some() {
        let label = "no session waits for a server here, so that it would change nothing";
        let finding = Finding::new("`timeout queue` is not modelled", places.value("timeout queue"), label);
        reader.report(finding.help("leave it out: sessions queue only for servers that have a `maxconn`"));
    }
    for (key, span) in spans.into_iter().filter_map(|(key, span)| Some((key, span?))) {
        if span == Span::ZERO {
            let finding = Finding::new(format!("`{key}` is {span}"), places.value(key), "no time at all");
            reader.report(
                finding.help("HAProxy rounds up to whole milliseconds: give 1us or more, or leave the key out"),
            );
        }
    }
    let counts = [
        ("rise", config.rise),
        ("fall", config.fall),
        ("maxconn", config.maxconn),
        ("tune.bufsize", config.tune.bufsize),
    ];
    positive(reader, places, counts.map(|(key, count)| (key, count > 0)), "give a number above 0");
}

fn positive<const N: usize>(reader: &mut Reader, places: &Places, keys: [(&str, bool); N], help: &str) {
    for (key, is_positive) in keys {
        if !is_positive {
            reader.report(Finding::new(format!("`{key}` is 0"), places.value(key), "must be greater").help(help));
        }
    }
}

/// "are only 3 Sentinels"
fn are_only(count: u32) -> String {
    match count {
        1 => "is only 1 Sentinel".to_owned(),
        n => format!("are only {n} Sentinels"),
    }
}
