//! `--limit` and `--offset` of lists.

use clap::Args;

/// Which part of a list.
#[derive(Args)]
pub struct Page {
    /// At most this many: 1 to 1000 [default: 100]
    #[arg(long, value_name = "N")]
    limit: Option<String>,
    /// After this many
    #[arg(long, value_name = "N")]
    offset: Option<String>,
}

impl Page {
    /// For a query.
    pub fn limit(&self) -> (&'static str, Option<&str>) {
        ("limit", self.limit.as_deref())
    }

    /// For a query.
    pub fn offset(&self) -> (&'static str, Option<&str>) {
        ("offset", self.offset.as_deref())
    }
}
