//! Why the real stack could not do what was asked of it.

use std::io;

/// Why the real stack could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scenario asks for something that cannot be done to a real stack.
    #[error("a real stack cannot do this: {0}")]
    Refused(String),
    /// A step failed.
    #[error("{0}")]
    Failed(String),
    /// A file or a process could not be had.
    #[error("{what}: {cause}")]
    Io {
        /// What was to be done.
        what: String,
        /// What the system says.
        cause: io::Error,
    },
    /// Someone wants this to end.
    #[error("interrupted")]
    Interrupted,
}

#[cfg(feature = "cli")]
impl miette::Diagnostic for Error {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let help = match self {
            Error::Refused(_) => "`sim run` simulates it; reference/README.md says what the real stack can play",
            Error::Failed(_) | Error::Io { .. } => {
                "reference/README.md says what the real stack needs; `sim reference down` removes what is left of one"
            }
            Error::Interrupted => return None,
        };
        Some(Box::new(help))
    }
}

impl Error {
    /// An error of the system while doing `what`.
    pub(super) fn io(what: impl std::fmt::Display) -> impl FnOnce(io::Error) -> Error {
        move |cause| Error::Io { what: what.to_string(), cause }
    }
}
