//! Connectors as data. Pure: no clock, no network, no environment.

pub mod arguments;
mod check;
mod check_action;
mod check_auth;
mod check_url;
pub mod connector;
pub mod definition;
pub mod describe;
pub mod diff;
pub mod failure;
pub mod lint;
mod lookups;
pub mod openapi;
mod packed;
pub mod paging;
pub mod parse;
pub mod plan;
mod schemes;
pub mod shape;
mod template;
mod text;
pub mod variables;

pub use arguments::ArgumentError;
pub use check::check;
pub use connector::{CompiledAction, Connector, Seen};
pub use packed::VERSION as PACKED_VERSION;
pub use text::closest;
