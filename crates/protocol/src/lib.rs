//! The wire layer of an MCP endpoint that serves both eras at once: pure functions on bytes, headers and messages.
//!
//! A POST runs through it in this order: [`accept`] (may we answer?), [`envelope`] (what was sent, borrowed from the
//! body), [`mod@classify`] (which era, and do headers and body agree?), the method itself, [`respond`] (the answer's bytes).
//! Towards an upstream: [`sse`] (what it streams), [`bridge`] (its era to the client's), [`splice`] (single members changed), [`pieces`]
//! (long values not copied), [`challenge`] (what it asks for in the place of an answer).
//! Every refusal on the way is a [`Fault`]: an HTTP status and a JSON-RPC error in one value.

pub mod accept;
pub mod bridge;
pub mod challenge;
pub mod classify;
pub mod envelope;
pub mod escape;
pub mod fault;
pub mod header;
pub mod listen;
mod members;
pub mod param_header;
pub mod params;
pub mod pieces;
pub mod present;
pub mod respond;
pub mod revision;
mod scan;
pub mod splice;
pub mod sse;
pub mod strict;

pub use classify::{HeaderView, classify};
pub use envelope::{Body, Message, Request};
pub use fault::Fault;
pub use params::{Meta, Params};
pub use pieces::Pieces;
pub use respond::ResultWriter;
pub use revision::{Era, Revision};
