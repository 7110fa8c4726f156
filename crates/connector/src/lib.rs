//! Connectors as data. Pure: no clock, no network, no environment.

pub mod arguments;
mod check;
mod check_action;
pub mod connector;
pub mod definition;
pub mod describe;
mod lookups;
pub mod openapi;
pub mod parse;
pub mod plan;
pub mod shape;
mod template;
mod text;
pub mod variables;

pub use arguments::ArgumentError;
pub use check::check;
pub use connector::{CompiledAction, Connector};
pub use text::closest;
