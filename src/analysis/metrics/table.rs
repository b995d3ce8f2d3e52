//! The table of metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::figure::{Figure, Unit};
use crate::analysis::ledger::Cause;
use crate::analysis::outages::Activity;
use crate::analysis::phases::Phase;
use crate::analysis::writes::WriteLoss;
use crate::analysis::{Analysis, Line};

/// Without what a metric does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Every run has it.
    Nothing,
    /// Sentinels.
    Sentinels,
    /// HAProxy.
    Haproxy,
    /// A client that does this.
    Client(Activity),
    /// A client that publishes; and what subscribers hear must be known.
    Messages,
    /// A client that subscribes, over one connection: of a crowd only the sums are known.
    Subscription,
}

impl Needs {
    /// The words in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Needs::Nothing => "–",
            Needs::Sentinels => "Sentinels",
            Needs::Haproxy => "HAProxy",
            Needs::Client(Activity::Publish) | Needs::Messages => "a publisher",
            Needs::Client(Activity::Set) => "a writer",
            Needs::Client(Activity::Get) => "a reader",
            Needs::Client(Activity::Receive) | Needs::Subscription => "a subscriber",
        }
    }

    /// Why a run has no such metric, or nobody knows it; none if it can be told.
    fn lacking(self, analysis: &Analysis) -> Option<Figure> {
        match self {
            Needs::Nothing => None,
            Needs::Sentinels => (analysis.sentinels == 0).then(|| Figure::Absent("the run has no Sentinel".into())),
            Needs::Haproxy => {
                analysis.masters.routes.is_empty().then(|| Figure::Absent("the run has no HAProxy".into()))
            }
            Needs::Client(activity) => uncounted(analysis, activity).or_else(|| nobody(analysis, activity)),
            Needs::Messages => uncounted(analysis, Activity::Publish)
                .or_else(|| nobody(analysis, Activity::Publish))
                .or_else(|| uncounted(analysis, Activity::Receive)),
            Needs::Subscription => crowd(analysis).or_else(|| nobody(analysis, Activity::Receive)),
        }
    }
}

/// Unknown, if one of the clients has several connections and the recording no count of what they did.
fn uncounted(analysis: &Analysis, activity: Activity) -> Option<Figure> {
    let counted = |name: &str| analysis.outages.iter().any(|of| of.client == name && of.activity == activity);
    let mut of_kind = analysis.clients.iter().filter(|client| client.does.contains(&activity));
    let client = of_kind.find(|client| !client.is_recorded() && !counted(&client.name))?;
    let why =
        format!("client {} has {} connections, and nothing that they did is counted", client.name, client.connections);
    Some(Figure::Unknown(why.into()))
}

/// Unknown, if one of the subscribers is a crowd.
fn crowd(analysis: &Analysis) -> Option<Figure> {
    let mut listens = analysis.clients.iter().filter(|client| client.does.contains(&Activity::Receive));
    let client = listens.find(|client| !client.is_recorded())?;
    let why = format!("client {} has {} connections, of which none is followed", client.name, client.connections);
    Some(Figure::Unknown(why.into()))
}

/// Absent, if no client does this.
fn nobody(analysis: &Analysis, activity: Activity) -> Option<Figure> {
    let somebody = analysis.outages.iter().any(|client| client.activity == activity);
    let why = match activity {
        Activity::Publish => "no client publishes",
        Activity::Set => "no client writes",
        Activity::Get => "no client reads",
        Activity::Receive => "no client subscribes",
    };
    (!somebody).then(|| Figure::Absent(why.into()))
}

/// How a metric follows from an analysis.
#[derive(Clone, Copy)]
enum Of {
    Plain(fn(&Analysis) -> Figure),
    Step(Phase),
    Undelivered(Cause),
    LostSets(WriteLoss),
}

/// A row of the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) needs: Needs,
    pub(super) says: String,
    of: Of,
}

impl Row {
    pub(super) fn is_of_a_cause(&self) -> bool {
        matches!(self.of, Of::Undelivered(_) | Of::LostSets(_))
    }

    pub(super) fn figure(&self, analysis: &Analysis) -> Figure {
        self.needs.lacking(analysis).unwrap_or_else(|| match self.of {
            Of::Plain(of) => of(analysis),
            Of::Step(phase) => step(analysis, phase),
            Of::Undelivered(cause) => count_of(&analysis.ledger.sums.by_cause, cause.as_str()),
            Of::LostSets(why) => match lost_sets(analysis) {
                Figure::Known(_) => count_of(&analysis.ledger.writes.lost_by_cause, why.as_str()),
                other => other,
            },
        })
    }
}

const PUBLISHER: Needs = Needs::Client(Activity::Publish);
const WRITER: Needs = Needs::Client(Activity::Set);
const READER: Needs = Needs::Client(Activity::Get);
const SUBSCRIBER: Needs = Needs::Client(Activity::Receive);

type Plain = (&'static str, Unit, Needs, fn(&Analysis) -> Figure, &'static str);

const FAILOVERS: [Plain; 4] = [
    (
        "failovers",
        Unit::Count,
        Needs::Sentinels,
        |a| Figure::count(failovers(a)),
        "How often the Sentinels moved the master: `+switch-master` lines that differ, however many Sentinels print each; if the \
         master returned to where it was, as many as one Sentinel printed.",
    ),
    (
        "failover-attempts",
        Unit::Count,
        Needs::Sentinels,
        |a| Figure::count(lines(a, "+try-failover").count() as u64),
        "Failovers that a Sentinel began: lines `+try-failover`.",
    ),
    (
        "aborted-failovers",
        Unit::Count,
        Needs::Sentinels,
        |a| Figure::count(lines(a, "-failover-abort").count() as u64),
        "Failovers that were begun and given up: lines that begin with `-failover-abort`.",
    ),
    (
        "first-failover",
        Unit::Seconds,
        Needs::Sentinels,
        first_failover,
        "When the first Sentinel printed `+switch-master`, after time 0.",
    ),
];

/// What all gaps have in common.
macro_rules! gap {
    ($what:literal) => {
        concat!(
            $what,
            ": from one to the next, from time 0 to the first, and from the last (or time 0, if there is none) to the end of the \
             run, or to the last of the client's `requests` if it made them all; the longest of any such client. Whatever made \
             the gap counts: a client's own pace (`every`), too, and that the script killed or paused the client itself."
        )
    };
}

const GAPS: [Plain; 4] = [
    (
        "publish-outage",
        Unit::Seconds,
        PUBLISHER,
        |a| longest(a, Activity::Publish),
        gap!("The longest time without a PUBLISH that succeeded"),
    ),
    (
        "set-outage",
        Unit::Seconds,
        WRITER,
        |a| longest(a, Activity::Set),
        gap!("The longest time without a SET that succeeded"),
    ),
    (
        "get-outage",
        Unit::Seconds,
        READER,
        |a| longest(a, Activity::Get),
        gap!("The longest time without a GET that succeeded"),
    ),
    (
        "receive-gap",
        Unit::Seconds,
        SUBSCRIBER,
        |a| longest(a, Activity::Receive),
        gap!("The longest time in which a subscriber received no message"),
    ),
];

const MESSAGES: [Plain; 12] = [
    (
        "publish-attempts",
        Unit::Count,
        PUBLISHER,
        |a| Figure::count(a.ledger.sums.published),
        "Attempts to PUBLISH, each a message.",
    ),
    ("publish-ok", Unit::Count, PUBLISHER, |a| Figure::count(published_ok(a)), "Attempts to PUBLISH that succeeded."),
    (
        "publish-failed",
        Unit::Count,
        PUBLISHER,
        |a| Figure::count(a.ledger.sums.published - published_ok(a)),
        "Attempts to PUBLISH that failed, as far as the publisher was told.",
    ),
    (
        "publish-ok-ratio",
        Unit::Ratio,
        PUBLISHER,
        |a| Figure::ratio(published_ok(a), a.ledger.sums.published),
        "The part of the attempts to PUBLISH that succeeded.",
    ),
    (
        "publish-delivered",
        Unit::Count,
        Needs::Messages,
        |a| Figure::count(a.ledger.sums.delivered),
        "Messages that a subscriber got, whatever the publisher was told.",
    ),
    (
        "publish-delivered-ratio",
        Unit::Ratio,
        Needs::Messages,
        |a| Figure::ratio(a.ledger.sums.delivered, a.ledger.sums.published),
        "The part of the attempts to PUBLISH whose message a subscriber got.",
    ),
    (
        "publish-lost",
        Unit::Count,
        Needs::Messages,
        |a| Figure::count(a.ledger.sums.lost_silently),
        "Messages whose PUBLISH succeeded but which no subscriber got; those of the last second do not count.",
    ),
    (
        "publish-failed-but-delivered",
        Unit::Count,
        Needs::Messages,
        |a| Figure::count(a.ledger.sums.failed_but_delivered),
        "Messages whose PUBLISH failed but which a subscriber got all the same.",
    ),
    (
        "publish-undecided",
        Unit::Count,
        Needs::Messages,
        |a| Figure::count(a.ledger.sums.undecided),
        "Messages that were on their way when the run ended.",
    ),
    (
        "duplicates",
        Unit::Count,
        Needs::Subscription,
        |a| Figure::count(a.ledger.sums.duplicates),
        "Receptions beyond the first of a message by a subscriber.",
    ),
    (
        "reconnects",
        Unit::Count,
        Needs::Subscription,
        |a| Figure::count(reconnects(a)),
        "Connections that subscribers opened after time 0.",
    ),
    (
        "publish-undelivered",
        Unit::Count,
        Needs::Messages,
        |a| Figure::count(a.ledger.sums.lost),
        "Messages that no subscriber got, whatever the publisher was told: the sum of those by cause.",
    ),
];

const WRITES: [Plain; 8] = [
    ("set-attempts", Unit::Count, WRITER, |a| Figure::count(a.ledger.writes.attempts), "Attempts to SET."),
    ("set-ok", Unit::Count, WRITER, |a| Figure::count(a.ledger.writes.acknowledged), "Attempts to SET that succeeded."),
    (
        "set-failed",
        Unit::Count,
        WRITER,
        |a| Figure::count(a.ledger.writes.attempts - a.ledger.writes.acknowledged),
        "Attempts to SET that failed, as far as the writer was told.",
    ),
    (
        "set-ok-ratio",
        Unit::Ratio,
        WRITER,
        |a| Figure::ratio(a.ledger.writes.acknowledged, a.ledger.writes.attempts),
        "The part of the attempts to SET that succeeded.",
    ),
    (
        "readonly-sets",
        Unit::Count,
        WRITER,
        |a| count_of(&a.ledger.writes.failed, "readonly"),
        "SETs that were answered with `-READONLY`.",
    ),
    (
        "unreplicated-sets",
        Unit::Count,
        WRITER,
        |a| Figure::count(a.ledger.writes.unreplicated),
        "SETs that succeeded, and that fewer replicas had in time than the writer's `wait` asks for.",
    ),
    (
        "expired-sets",
        Unit::Count,
        WRITER,
        expired_sets,
        "Acknowledged SETs with `px` whose time was up before the end, and that the final master had; unknown in a recording of \
         the real stack.",
    ),
    (
        "lost-acked-sets",
        Unit::Count,
        WRITER,
        lost_sets,
        "Acknowledged SETs that the final master does not hold; unknown if there is no master at the end.",
    ),
];

const STACK: [Plain; 3] = [
    (
        "two-masters",
        Unit::Seconds,
        Needs::Nothing,
        |a| Figure::micros(a.masters.two_masters_us()),
        "How long, in sum, two or more Redis nodes that run called themselves master; a paused one does not run.",
    ),
    (
        "no-server",
        Unit::Seconds,
        Needs::Haproxy,
        |a| Figure::micros(a.masters.no_server_us()),
        "How long, in sum, HAProxy ran and had no server that was up.",
    ),
    (
        "final-masters",
        Unit::Count,
        Needs::Nothing,
        |a| Figure::count(final_masters(a)),
        "Redis nodes that call themselves master at the end.",
    ),
];

/// All metrics.
pub(super) static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = Vec::new();
    plain(&mut rows, &FAILOVERS);
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Fault) {
        let says = format!(
            "When {} in the first failover that took effect: time after the fault that hit the master, or after time 0 if none did.",
            step_words(phase)
        );
        rows.push(Row {
            name: phase.as_str().into(),
            unit: Unit::Seconds,
            needs: Needs::Sentinels,
            says,
            of: Of::Step(phase),
        });
    }
    plain(&mut rows, &GAPS);
    plain(&mut rows, &STACK);
    plain(&mut rows, &MESSAGES);
    for cause in Cause::ALL {
        rows.push(Row {
            name: format!("publish-undelivered-{}", cause.as_str()),
            unit: Unit::Count,
            needs: Needs::Messages,
            says: format!("Messages that no subscriber got, for the cause `{}`.", cause.as_str()),
            of: Of::Undelivered(cause),
        });
    }
    plain(&mut rows, &WRITES);
    for why in WriteLoss::ALL {
        rows.push(Row {
            name: format!("lost-acked-sets-{}", why.as_str()),
            unit: Unit::Count,
            needs: WRITER,
            says: format!("Acknowledged SETs that the final master does not hold, for the cause `{}`.", why.as_str()),
            of: Of::LostSets(why),
        });
    }
    rows
});

fn plain(rows: &mut Vec<Row>, of: &[Plain]) {
    let row = |&(name, unit, needs, of, says): &Plain| Row {
        name: name.into(),
        unit,
        needs,
        says: says.into(),
        of: Of::Plain(of),
    };
    rows.extend(of.iter().map(row));
}

/// What happened at a step, to follow "when".
const fn step_words(phase: Phase) -> &'static str {
    match phase {
        Phase::Fault => "the fault hit the master",
        Phase::Detected => "the first Sentinel held the master to be down (`+sdown`)",
        Phase::Agreed => "the leader-to-be found a quorum (`+odown`)",
        Phase::Started => "it was begun (`+try-failover`)",
        Phase::Elected => "the leader was elected (`+elected-leader`)",
        Phase::Selected => "a replica was chosen (`+selected-slave`)",
        Phase::Promoted => "the replica became a master (`MASTER MODE enabled`)",
        Phase::Confirmed => "the leader saw the promotion (`+promoted-slave`)",
        Phase::Propagated => "the last Sentinel had the new configuration (`+switch-master`)",
        Phase::ProxyDown => "HAProxy gave up the old master",
        Phase::ProxySwitched => "HAProxy sent new sessions to the new master",
        Phase::PublisherOk => "the last publisher succeeded again",
        Phase::WriterOk => "the last writer succeeded again",
        Phase::SubscriberOk => "the last subscriber heard something again",
    }
}

fn count_of(by: &BTreeMap<&'static str, u64>, word: &str) -> Figure {
    Figure::count(by.get(word).copied().unwrap_or(0))
}

fn published_ok(analysis: &Analysis) -> u64 {
    analysis.ledger.sums.by_outcome.get("ok").copied().unwrap_or(0)
}

/// The lines from time 0 on that begin in a way.
fn lines<'a>(analysis: &'a Analysis, prefix: &'a str) -> impl Iterator<Item = &'a Line> {
    analysis.lines.iter().filter(move |line| line.at_us >= 0 && line.text.starts_with(prefix))
}

fn failovers(analysis: &Analysis) -> u64 {
    let mut different: BTreeSet<&str> = BTreeSet::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines(analysis, "+switch-master") {
        different.insert(&line.text);
        *seen.entry(&line.node).or_default() += 1;
    }
    different.len().max(seen.values().copied().max().unwrap_or(0)) as u64
}

fn first_failover(analysis: &Analysis) -> Figure {
    match lines(analysis, "+switch-master").map(|line| line.at_us).min() {
        Some(at_us) => Figure::micros(at_us),
        None => Figure::Absent("no Sentinel printed `+switch-master`".into()),
    }
}

fn step(analysis: &Analysis, phase: Phase) -> Figure {
    let Some(first) = analysis.completed().next() else {
        return Figure::Absent("no failover took effect".into());
    };
    let fault = first.step(Phase::Fault).map_or(0, |step| step.at_us);
    match first.step(phase) {
        Some(step) => Figure::micros(step.at_us - fault),
        None => Figure::Absent("the first failover did not come to this step".into()),
    }
}

fn longest(analysis: &Analysis, activity: Activity) -> Figure {
    Figure::micros(analysis.longest_outage_us(activity).unwrap_or(0))
}

fn expired_sets(analysis: &Analysis) -> Figure {
    match lost_sets(analysis) {
        Figure::Unknown(why) => Figure::Unknown(why),
        _ => Figure::count(analysis.ledger.writes.expired),
    }
}

fn lost_sets(analysis: &Analysis) -> Figure {
    match (analysis.ledger.writes.lost, &analysis.final_master) {
        (Some(lost), _) => Figure::count(lost),
        (None, None) => Figure::Unknown("there is no master at the end that could hold them".into()),
        (None, Some(_)) => Figure::Unknown("the recording does not say how many were lost".into()),
    }
}

fn reconnects(analysis: &Analysis) -> u64 {
    let subscribers = analysis.outages.iter().filter(|client| client.activity == Activity::Receive);
    subscribers.map(|client| analysis.reconnects.get(&client.client).copied().unwrap_or(0)).sum()
}

fn final_masters(analysis: &Analysis) -> u64 {
    analysis.final_roles.values().filter(|role| *role == "master").count() as u64
}
