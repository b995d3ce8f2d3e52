//! Why the real stack could not do what was asked of it.

use std::io;

/// Why the real stack could not do what was asked of it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The scenario asks for something that cannot be done to a real stack.
    #[error("a real stack cannot do this: {0}")]
    Refused(String),
    /// A step failed.
    #[error("{0}")]
    Failed(String),
    /// A file or a process could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// What the system says.
        source: io::Error,
    },
    /// Someone wants this to end.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// An error of the system while doing `what`.
    pub(super) fn io(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what: what.to_string(), source }
    }
}
