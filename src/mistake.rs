//! Wrong variants of the models, planted to show that the properties, and the score against the real
//! stack's recordings, catch them.
//!
//! They exist in tests and under the feature `mistakes` only; in any other build [`Out::mistaken`](crate::program::Out)
//! is constantly false and nothing is left of them.

#[cfg(test)]
mod tests;

/// A mistake that a model can be made to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A Sentinel does not write its vote to disk.
    VoteNotPersisted,
    /// A Sentinel votes again in an epoch in which it has voted.
    VotesTwice,
    /// A candidate counts the quorum only, not the majority.
    QuorumIsEnough,
    /// A failover starts in the epoch that is there.
    EpochNotRaised,
    /// All candidates start at the same time.
    NoDesync,
    /// The delay between two attempts is forgotten.
    NoRetryDelay,
    /// A replica with priority 0 may be chosen.
    PriorityZero,
    /// A Sentinel takes over a configuration whatever its epoch.
    OlderConfiguration,
    /// A demoted server keeps its clients.
    ClientsNotKilled,
    /// PINGs are sent half as often.
    SlowPing,
    /// A master that comes back is not demoted.
    NoConversion,
    /// PUBLISH is not replicated.
    PublishNotReplicated,
    /// A replica accepts writes.
    ReplicaAcceptsWrites,
    /// A replica skips some of the writes of its master.
    ReplicaSkipsWrites,
    /// A subscriber gets some messages twice.
    DeliversTwice,
    /// HAProxy ignores `backup`.
    BackupIgnored,
    /// Under `appendfsync always` a server does not wait for the disk.
    AnswersBeforeFsync,
    /// A server takes writes although it could not write its files.
    IgnoresDiskError,
    /// A client is closed when its output buffer has reached half of a limit.
    HalfTheLimit,
}

impl Mistake {
    /// All mistakes.
    pub const ALL: [Mistake; 19] = [
        Mistake::VoteNotPersisted,
        Mistake::VotesTwice,
        Mistake::QuorumIsEnough,
        Mistake::EpochNotRaised,
        Mistake::NoDesync,
        Mistake::NoRetryDelay,
        Mistake::PriorityZero,
        Mistake::OlderConfiguration,
        Mistake::ClientsNotKilled,
        Mistake::SlowPing,
        Mistake::NoConversion,
        Mistake::PublishNotReplicated,
        Mistake::ReplicaAcceptsWrites,
        Mistake::ReplicaSkipsWrites,
        Mistake::DeliversTwice,
        Mistake::BackupIgnored,
        Mistake::AnswersBeforeFsync,
        Mistake::IgnoresDiskError,
        Mistake::HalfTheLimit,
    ];
}
