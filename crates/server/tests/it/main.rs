//! The product from outside, through its front door: one integration binary, in process where that is enough.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests; a panic is the failure")]

mod support;

mod audit;
mod bodies;
mod cli;
mod credentials;
mod definitions;
mod egress;
mod execution;
mod failures;
mod files;
mod folder;
mod framing;
mod hosts;
mod housekeeping;
mod identity;
mod imports;
mod isolation;
mod jwks;
mod keys;
mod large_bodies;
mod limits;
mod logs;
mod master_key;
mod modern;
mod oauth;
mod reliability;
mod resources;
mod restrictions;
mod search;
mod servers;
mod sessions;
mod shaping;
mod sign_in;
mod start;
mod streams;
mod sweep;
mod tokens;
mod upstream;
