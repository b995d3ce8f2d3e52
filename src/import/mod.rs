//! From a user's own configuration files to a scenario, and to what is wrong with them.
//!
//! People who run a Redis Sentinel stack have compose files, manifests, `redis.conf`, `sentinel.conf` and `haproxy.cfg`; no
//! scenario. This room reads them: `source` finds the files, `assemble` makes programs and stacks of them, `lint` looks
//! for what is wrong, and `output` writes the scenario. Nothing is executed, nothing outside the folder is read, no network
//! is used, and passwords are never written. Whatever a file holds, reading it ends, and never in a panic.
//!
//! Every value knows its line (`origin`): a scenario that says `inter = "2s"` says where that stands, or why it was assumed.

pub(crate) mod assemble;
mod charts;
mod compose;
pub(crate) mod container;
mod dockerfile;
pub(crate) mod haproxy_cfg;
mod identity;
pub(crate) mod images;
mod include;
mod interpolate;
mod kubernetes;
pub(crate) mod launch;
pub(crate) mod lint;
pub(crate) mod origin;
pub(crate) mod output;
mod plain;
pub(crate) mod redis_conf;
pub(crate) mod sarif;
mod shell;
mod shell_words;
pub(crate) mod situation;
pub(crate) mod source;
pub(crate) mod stack;
mod values;
mod vfs;
mod yaml;

pub use assemble::{Options, Set, read};
pub use source::Files;
pub use stack::Stack;

use shell::UNKNOWN;

#[cfg(test)]
mod tests;
