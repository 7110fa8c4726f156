//! The protocol revisions that we speak, their order, and the two eras they fall into.

use std::fmt;

/// A released revision of MCP, oldest first, so that `<` means "older".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05: HTTP+SSE, JSON-RPC batches by virtue of JSON-RPC.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP; a receiver must accept batches.
    V2025_03_26,
    /// 2025-06-18: batches are gone, the `MCP-Protocol-Version` header arrives.
    V2025_06_18,
    /// 2025-11-25: the last revision with an `initialize` handshake.
    V2025_11_25,
    /// 2026-07-28: stateless; every request carries its own envelope in `_meta`.
    V2026_07_28,
}

/// The newest revision that `initialize` can agree on.
pub const LATEST_LEGACY: Revision = Revision::V2025_11_25;

/// The newest revision of all.
pub const LATEST: Revision = Revision::V2026_07_28;

/// What a legacy request without an `MCP-Protocol-Version` header is taken to speak (2025-06-18, transports).
pub const ASSUMED: Revision = Revision::V2025_03_26;

/// Every revision, oldest first, in the order of [`SUPPORTED`].
pub const ALL: [Revision; 5] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28];

/// The names of every revision that we serve, oldest first, as `server/discover` and error -32022 list them.
pub const SUPPORTED: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

impl Revision {
    /// The date by which the protocol names this revision.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision with exactly this name, or `None` for a name that we do not serve.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Whether the revision is stateless: no `initialize`, no sessions, an envelope in every request.
    #[must_use]
    pub fn is_modern(self) -> bool {
        self > LATEST_LEGACY
    }

    /// Whether a receiver of this revision takes JSON-RPC arrays. 2025-06-18 removed them.
    #[must_use]
    pub fn has_batches(self) -> bool {
        self < Self::V2025_06_18
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Which of the two dialects one message speaks, as [`crate::classify()`] found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25: `initialize`, optional sessions.
    Legacy {
        /// What the `MCP-Protocol-Version` header named; `None` when it was not sent.
        header_version: Option<Revision>,
    },
    /// 2026-07-28: stateless.
    Modern,
}

impl Era {
    /// Whether the message is stateless.
    #[must_use]
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::Modern)
    }

    /// The revision to serve the message by, with [`ASSUMED`] where a legacy client named none.
    #[must_use]
    pub fn revision(self) -> Revision {
        match self {
            Self::Legacy { header_version } => header_version.unwrap_or(ASSUMED),
            Self::Modern => LATEST,
        }
    }
}

/// The revision to answer an `initialize` with: the requested one if it has a handshake, else [`LATEST_LEGACY`].
#[must_use]
pub fn negotiate(requested: &str) -> Revision {
    Revision::parse(requested).filter(|revision| !revision.is_modern()).unwrap_or(LATEST_LEGACY)
}

/// Whether a version string names the stateless era, known to us or not: a date on or after 2026-07-28.
///
/// Only a date of the form `YYYY-MM-DD` counts, because for any other text "later" would be an accident of the alphabet.
#[must_use]
pub fn names_modern(version: &str) -> bool {
    let is_date = version.len() == 10
        && version.bytes().enumerate().all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    is_date && version >= LATEST.as_str()
}
