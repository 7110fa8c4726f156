//! Logs and the audit trail.

pub mod audit;
pub mod logs;
