//! Policy: who may do what on a server, and how often. Pure: no clock, no I/O.

mod rate;
mod restrictions;
mod wire;

pub use rate::{Outcome, Window, judge};
pub use restrictions::{Decision, Denial, Restrictions};
pub use wire::PolicyError;
