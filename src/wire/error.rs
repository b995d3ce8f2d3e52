//! Error replies.

use std::borrow::Cow;

/// What an error reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `-READONLY`
    Readonly,
    /// `-LOADING`
    Loading,
    /// `-NOREPLICAS`
    NoReplicas,
    /// `-MASTERDOWN`
    MasterDown,
    /// `-MISCONF`: the last BGSAVE failed.
    Misconf,
    /// `-MISCONF`: the append-only file cannot be written to.
    MisconfAof,
    /// `-NOMASTERLINK`
    NoMasterLink,
    /// `-EXECABORT`
    ExecAbort,
    /// `-UNBLOCKED`
    Unblocked,
    /// `-ERR max number of clients reached`
    MaxClients,
    /// `-BUSY`: a script runs.
    Busy,
    /// `-NOTBUSY` (SCRIPT KILL)
    NotBusy,
    /// `-UNKILLABLE` (SCRIPT KILL): the script has written.
    Unkillable,
    /// What EVAL is answered when SCRIPT KILL ended its script
    ScriptKilled,
    /// `-NOAUTH`
    NoAuth,
    /// `-INPROG` (Sentinel)
    InProg,
    /// `-NOGOODSLAVE` (Sentinel)
    NoGoodSlave,
    /// `-NOQUORUM` (Sentinel CKQUORUM)
    NoQuorum {
        /// How many Sentinels are not down.
        usable: u32,
        /// Whether they are fewer than the quorum.
        below_quorum: bool,
        /// Whether they are no majority.
        below_majority: bool,
    },
    /// `-ERR` with these words
    Said(&'static str),
    /// `-ERR` anything else
    Err,
    /// `-ERR unknown command`: the other kind of server has it, or nobody
    UnknownCommand,
    /// `-ERR No such master with that name` (Sentinel)
    NoSuchMaster,
    /// `-ERR Duplicate master name.` (SENTINEL MONITOR)
    DuplicateMaster,
    /// `-ERR Quorum must be 1 or greater.` (SENTINEL MONITOR)
    QuorumIsZero,
    /// `-ERR Invalid argument` for an option of SENTINEL SET or SENTINEL DEBUG
    InvalidArgument {
        /// `SET` or `DEBUG`.
        of: &'static str,
        /// The option.
        option: &'static str,
        /// Its value.
        value: u64,
    },
    /// `-ERR DEBUG command not allowed` (`enable-debug-command`)
    DebugNotAllowed,
    /// `-ERR CONFIG SET failed`
    ConfigSet,
    /// `-ERR The server is running without a config file` (CONFIG REWRITE)
    NoConfigFile,
    /// `-ERR Background save already in progress`
    SaveInProgress,
    /// `-ERR Background append only file rewriting already in progress`
    RewriteInProgress,
    /// `-ERR Can't execute an AOF background rewriting`
    CannotRewrite,
    /// `-ERR Command not allowed inside a transaction`
    InTransaction,
    /// `-ERR WAIT cannot be used with replica instances`
    WaitOnReplica,
    /// `-ERR Errors trying to SHUTDOWN`
    ShutdownFails,
}

impl ErrorKind {
    /// The text that the real program sends (`shared` objects of server.c, `addReplyError` in sentinel.c, config.c, rdb.c,
    /// replication.c and db.c of 7.0.15), without the dash. Of those that quote the command only what comes before.
    #[allow(clippy::too_many_lines, reason = "a table: one arm an error")]
    pub fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            ErrorKind::Readonly => "READONLY You can't write against a read only replica.",
            ErrorKind::Loading => "LOADING Redis is loading the dataset in memory",
            ErrorKind::NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            ErrorKind::MasterDown => "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ErrorKind::Misconf => {
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
            }
            ErrorKind::MisconfAof => "MISCONF Errors writing to the AOF file: No space left on device",
            ErrorKind::NoMasterLink => "NOMASTERLINK Can't SYNC while not connected with my master",
            ErrorKind::ExecAbort => "EXECABORT Transaction discarded because of previous errors.",
            ErrorKind::Unblocked => {
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
            }
            ErrorKind::MaxClients => "ERR max number of clients reached",
            ErrorKind::Busy => "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            ErrorKind::NotBusy => "NOTBUSY No scripts in execution right now.",
            ErrorKind::Unkillable => {
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
                 script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
            }
            ErrorKind::ScriptKilled => "ERR Script killed by user with SCRIPT KILL...",
            ErrorKind::NoAuth => "NOAUTH Authentication required.",
            ErrorKind::InProg => "INPROG Failover already in progress",
            ErrorKind::NoGoodSlave => "NOGOODSLAVE No suitable replica to promote",
            ErrorKind::NoQuorum { usable, below_quorum, below_majority } => {
                let few = |is_so, what| if is_so { what } else { "" };
                return format!(
                    "NOQUORUM {usable} usable Sentinels. {}{}",
                    few(below_quorum, "Not enough available Sentinels to reach the specified quorum for this master"),
                    few(
                        below_majority,
                        if below_quorum {
                            ". Not enough available Sentinels to reach the majority and authorize a failover"
                        } else {
                            "Not enough available Sentinels to reach the majority and authorize a failover"
                        }
                    ),
                )
                .into();
            }
            ErrorKind::Said(words) => return format!("ERR {words}").into(),
            ErrorKind::Err => "ERR",
            ErrorKind::UnknownCommand => "ERR unknown command",
            ErrorKind::NoSuchMaster => "ERR No such master with that name",
            ErrorKind::DuplicateMaster => "ERR Duplicate master name.",
            ErrorKind::QuorumIsZero => "ERR Quorum must be 1 or greater.",
            ErrorKind::InvalidArgument { of, option, value } => {
                return format!("ERR Invalid argument '{value}' for SENTINEL {of} '{option}'").into();
            }
            ErrorKind::DebugNotAllowed => {
                "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
                 from a local connection, otherwise you need to set this option in the configuration file, and then \
                 restart the server."
            }
            ErrorKind::ConfigSet => "ERR CONFIG SET failed",
            ErrorKind::NoConfigFile => "ERR The server is running without a config file",
            ErrorKind::SaveInProgress => "ERR Background save already in progress",
            ErrorKind::RewriteInProgress => "ERR Background append only file rewriting already in progress",
            ErrorKind::CannotRewrite => {
                "ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
            }
            ErrorKind::InTransaction => "ERR Command not allowed inside a transaction",
            ErrorKind::WaitOnReplica => {
                "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
                 configured to be writable (which is not the default) writes to replicas are just local and are not \
                 propagated."
            }
            ErrorKind::ShutdownFails => "ERR Errors trying to SHUTDOWN. Check logs.",
        })
    }

    /// A word that tells kinds apart, for the digest of a run.
    pub(super) fn word(self) -> u64 {
        match self {
            ErrorKind::Readonly => 0,
            ErrorKind::Loading => 1,
            ErrorKind::NoReplicas => 2,
            ErrorKind::MasterDown => 3,
            ErrorKind::Misconf => 4,
            ErrorKind::NoMasterLink => 5,
            ErrorKind::ExecAbort => 6,
            ErrorKind::Unblocked => 7,
            ErrorKind::MaxClients => 8,
            ErrorKind::Busy => 9,
            ErrorKind::NoAuth => 10,
            ErrorKind::InProg => 11,
            ErrorKind::NoGoodSlave => 12,
            ErrorKind::NoQuorum { .. } => 13,
            _ => 14,
        }
    }
}
