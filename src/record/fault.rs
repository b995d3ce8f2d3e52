//! What a fault script did, as values.
//!
//! Whoever asks later what was done to whom asks one of these: the words stand in files and on paper only. A recording
//! of real programs names what was done in the same words, so both arms give the same values.

use std::fmt;

use crate::kernel::Span;
use crate::units::{SignedSpan, parse_span};

/// One executed fault and when it was executed.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultMark {
    /// Seconds after time 0.
    pub at_s: f64,
    /// What was done.
    pub fault: Fault,
}

/// What is done to one program, or to the host on which it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// SIGKILL; the host stays.
    Kill,
    /// SIGKILL, then the host's address disappears.
    KillHost,
    /// The host vanishes at once.
    PowerOff,
    /// SIGTERM.
    Terminate,
    /// Started again.
    Start,
    /// SIGSTOP.
    Pause,
    /// SIGCONT.
    Resume,
}

impl Order {
    /// All of them.
    pub const ALL: [Order; 7] =
        [Order::Kill, Order::KillHost, Order::PowerOff, Order::Terminate, Order::Start, Order::Pause, Order::Resume];

    /// The word of a scenario file.
    pub const fn word(self) -> &'static str {
        match self {
            Order::Kill => "kill",
            Order::KillHost => "kill-host",
            Order::PowerOff => "power-off",
            Order::Terminate => "terminate",
            Order::Start => "start",
            Order::Pause => "pause",
            Order::Resume => "resume",
        }
    }

    /// Whether it hits the whole host: all programs that run there.
    pub const fn hits_host(self) -> bool {
        matches!(self, Order::KillHost | Order::PowerOff)
    }
}

/// What was done, and to whom. Names are those of nodes and hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something was done to one program or its host.
    Program {
        /// What.
        order: Order,
        /// To which node; none if nobody played the role that the script names.
        node: Option<String>,
    },
    /// Packets between hosts of different groups were dropped from then on.
    Partition {
        /// The hosts of each group. A single group was cut off from all others.
        groups: Vec<Vec<String>>,
    },
    /// Packets one way were dropped from then on.
    Cut {
        /// The sending hosts.
        from: Vec<String>,
        /// The receiving hosts.
        to: Vec<String>,
    },
    /// All partitions, cuts and degradations ended, and disks were well again.
    Heal,
    /// The links between hosts became slow or lossy.
    Degrade {
        /// The ends; fewer than two where a role was nobody's.
        hosts: Vec<String>,
    },
    /// A wall clock jumped.
    ClockJump {
        /// Whose.
        node: String,
        /// How far.
        by: SignedSpan,
    },
    /// Another release was installed, for the next start.
    Upgrade {
        /// Where.
        node: String,
        /// Which: the word of a scenario.
        release: String,
    },
    /// An event loop was blocked.
    Stall {
        /// Whose.
        node: String,
        /// For how long.
        lasts: Span,
    },
    /// A disk became slow.
    SlowDisk {
        /// Of whose machine.
        node: String,
        /// What an `fsync` took from then on.
        fsync: Span,
        /// For how long; until disks were healed if it is not said.
        lasts: Option<Span>,
    },
    /// A disk had no room any more.
    DiskFull {
        /// Of whose machine.
        node: String,
        /// For how long; until disks were healed if it is not said.
        lasts: Option<Span>,
    },
    /// A command was executed.
    Command {
        /// By whom.
        node: String,
        /// The command and its arguments.
        words: Vec<String>,
    },
    /// Something that a file names and this program does not know.
    Other {
        /// Its word, as it stands in the file.
        action: String,
        /// Its arguments, as they stand in the file.
        args: Vec<String>,
    },
}

/// Of what kind a fault's effect is: what readers ask for, so that they need not list actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Ends programs, until they are started again.
    Kills,
    /// Ends the death of a program.
    Starts,
    /// A program stands still; its kernel goes on.
    Stops,
    /// Ends a stop.
    Resumes,
    /// Packets are dropped.
    Cuts,
    /// Packets are late, or some of them lost.
    Slows,
    /// A disk is slow or full.
    Clogs,
    /// Ends cuts and slow links, and what ails disks.
    Heals,
    /// A clock jumps.
    Skews,
    /// A program does what it was told.
    Commands,
    /// Nothing happens by it alone.
    Prepares,
    /// Nobody knows.
    Unknown,
}

impl Effect {
    /// Whether it is about the network and not about programs.
    pub const fn is_of_network(self) -> bool {
        matches!(self, Effect::Cuts | Effect::Slows | Effect::Heals)
    }

    /// Whether it ends another fault rather than being one.
    pub const fn is_undoing(self) -> bool {
        matches!(self, Effect::Starts | Effect::Resumes | Effect::Heals)
    }
}

impl Fault {
    /// The word of a scenario file.
    pub fn word(&self) -> &str {
        match self {
            Fault::Program { order, .. } => order.word(),
            Fault::Partition { .. } => "partition",
            Fault::Cut { .. } => "cut",
            Fault::Heal => "heal",
            Fault::Degrade { .. } => "degrade",
            Fault::ClockJump { .. } => "clock-jump",
            Fault::Upgrade { .. } => "upgrade",
            Fault::Stall { .. } => "stall",
            Fault::SlowDisk { .. } => "slow-disk",
            Fault::DiskFull { .. } => "disk-full",
            Fault::Command { .. } => "command",
            Fault::Other { action, .. } => action,
        }
    }

    /// What kind of effect it has.
    pub const fn effect(&self) -> Effect {
        match self {
            Fault::Program { order, .. } => match order {
                Order::Kill | Order::KillHost | Order::PowerOff | Order::Terminate => Effect::Kills,
                Order::Start => Effect::Starts,
                Order::Pause => Effect::Stops,
                Order::Resume => Effect::Resumes,
            },
            Fault::Partition { .. } | Fault::Cut { .. } => Effect::Cuts,
            Fault::Heal => Effect::Heals,
            Fault::Degrade { .. } => Effect::Slows,
            Fault::ClockJump { .. } => Effect::Skews,
            Fault::Upgrade { .. } => Effect::Prepares,
            Fault::Stall { .. } => Effect::Stops,
            Fault::SlowDisk { .. } | Fault::DiskFull { .. } => Effect::Clogs,
            Fault::Command { .. } => Effect::Commands,
            Fault::Other { .. } => Effect::Unknown,
        }
    }

    /// What was done to one program or its host, if it is such a fault.
    pub const fn order(&self) -> Option<Order> {
        match self {
            Fault::Program { order, .. } => Some(*order),
            _ => None,
        }
    }

    /// The one node that it is about; none for what is about links, and where nobody played the role.
    pub fn node(&self) -> Option<&str> {
        match self {
            Fault::Program { node, .. } => node.as_deref(),
            Fault::ClockJump { node, .. }
            | Fault::Stall { node, .. }
            | Fault::SlowDisk { node, .. }
            | Fault::DiskFull { node, .. }
            | Fault::Command { node, .. }
            | Fault::Upgrade { node, .. } => Some(node),
            Fault::Partition { .. } | Fault::Cut { .. } | Fault::Heal | Fault::Degrade { .. } | Fault::Other { .. } => {
                None
            }
        }
    }

    /// The hosts whose links it is about, as it names them; none for what is about programs.
    pub fn hosts(&self) -> Vec<&str> {
        let lists: Vec<&Vec<String>> = match self {
            Fault::Partition { groups } => groups.iter().collect(),
            Fault::Cut { from, to } => vec![from, to],
            Fault::Degrade { hosts } => vec![hosts],
            _ => Vec::new(),
        };
        lists.into_iter().flatten().map(String::as_str).collect()
    }

    /// The command that it executed, if it is one.
    pub fn command(&self) -> &[String] {
        match self {
            Fault::Command { words, .. } => words,
            _ => &[],
        }
    }

    /// What stands behind the word: one text for each argument, names of a group separated by commas.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Fault::Program { node, .. } => vec![node.clone().unwrap_or_else(|| NOBODY.into())],
            Fault::Partition { groups } => groups.iter().map(|group| group.join(",")).collect(),
            Fault::Cut { from, to } => vec![from.join(","), to.join(",")],
            Fault::Heal => Vec::new(),
            Fault::Degrade { hosts } => vec![hosts.join(",")],
            Fault::ClockJump { node, by } => vec![node.clone(), by.to_string()],
            Fault::Upgrade { node, release } => vec![node.clone(), release.clone()],
            Fault::Stall { node, lasts } => vec![node.clone(), lasts.to_string()],
            Fault::SlowDisk { node, fsync, lasts } => {
                [Some(node.clone()), Some(fsync.to_string()), lasts.map(|lasts| lasts.to_string())]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            Fault::DiskFull { node, lasts } => {
                [Some(node.clone()), lasts.map(|lasts| lasts.to_string())].into_iter().flatten().collect()
            }
            Fault::Command { node, words } => [std::slice::from_ref(node), words].concat(),
            Fault::Other { args, .. } => args.clone(),
        }
    }

    /// The fault as a chart or a sentence names it.
    pub fn label(&self) -> String {
        let Fault::Partition { groups } = self else { return self.to_string() };
        let groups: Vec<String> = groups.iter().map(|group| group.join(" ")).collect();
        match groups.as_slice() {
            [one] => format!("partition: {one} | the others"),
            all => format!("partition: {}", all.join(" | ")),
        }
    }

    /// How long it lasts, if it says so itself.
    pub const fn lasts(&self) -> Option<Span> {
        match self {
            Fault::Stall { lasts, .. } => Some(*lasts),
            Fault::SlowDisk { lasts, .. } | Fault::DiskFull { lasts, .. } => *lasts,
            _ => None,
        }
    }

    /// The fault that a recording's word and arguments stand for. A word that is not known is kept as it is.
    ///
    /// # Errors
    /// What would be right, if the arguments are not the word's.
    pub fn read(action: &str, args: &[String]) -> Result<Fault, &'static str> {
        let word = action.replace('_', "-");
        let group = |text: &String| -> Vec<String> {
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        if let Some(order) = Order::ALL.into_iter().find(|order| order.word() == word) {
            let [node] = args else { return Err("it has one argument: the node that it was done to") };
            return Ok(Fault::Program { order, node: (node != NOBODY).then(|| node.clone()) });
        }
        match (word.as_str(), args) {
            ("partition", [_, ..]) => Ok(Fault::Partition { groups: args.iter().map(group).collect() }),
            ("partition", _) => Err("its arguments are groups of hosts, their names separated by commas"),
            ("cut", [from, to]) => Ok(Fault::Cut { from: group(from), to: group(to) }),
            ("cut", _) => Err("its arguments are the sending hosts and the receiving hosts"),
            ("heal", []) => Ok(Fault::Heal),
            ("heal", _) => Err("it has no arguments"),
            ("degrade", [hosts]) => Ok(Fault::Degrade { hosts: group(hosts) }),
            ("degrade", _) => Err("it has one argument: the hosts at the ends, separated by a comma"),
            ("clock-jump", [node, by]) => match by.parse() {
                Ok(by) => Ok(Fault::ClockJump { node: node.clone(), by }),
                Err(_) => Err("the second argument is how far, such as \"-5s\""),
            },
            ("clock-jump", _) => Err("its arguments are a node and how far its clock jumped"),
            ("upgrade", [node, release]) => Ok(Fault::Upgrade { node: node.clone(), release: release.clone() }),
            ("upgrade", _) => Err("its arguments are a node and the release"),
            ("stall", [node, lasts]) => match parse_span(lasts) {
                Ok(lasts) => Ok(Fault::Stall { node: node.clone(), lasts }),
                Err(_) => Err("the second argument is how long, such as \"350ms\""),
            },
            ("stall", _) => Err("its arguments are a node and how long it stood still"),
            ("slow-disk", [node, fsync, lasts @ ..]) if lasts.len() < 2 => {
                let lasts = lasts.first().map(|lasts| parse_span(lasts)).transpose();
                match (parse_span(fsync), lasts) {
                    (Ok(fsync), Ok(lasts)) => Ok(Fault::SlowDisk { node: node.clone(), fsync, lasts }),
                    _ => Err(
                        "behind the node stand what an fsync takes and perhaps how long, such as \"500ms\" and \"20s\"",
                    ),
                }
            }
            ("slow-disk", _) => Err("its arguments are a node, what an fsync takes, and perhaps how long"),
            ("disk-full", [node, lasts @ ..]) if lasts.len() < 2 => {
                match lasts.first().map(|lasts| parse_span(lasts)).transpose() {
                    Ok(lasts) => Ok(Fault::DiskFull { node: node.clone(), lasts }),
                    Err(_) => Err("the second argument is how long, such as \"20s\""),
                }
            }
            ("disk-full", _) => Err("its arguments are a node, and perhaps how long"),
            ("command", [node, words @ ..]) => Ok(Fault::Command { node: node.clone(), words: words.to_vec() }),
            ("command", _) => Err("its arguments are a node and the words of the command"),
            _ => Ok(Fault::Other { action: action.to_owned(), args: args.to_vec() }),
        }
    }
}

/// Stands in recordings for the node of a role that nobody played: no node and no host may be called so.
pub const NOBODY: &str = "nobody";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.arguments().iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}
