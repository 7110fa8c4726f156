//! An MCP server platform in one binary: virtual MCP servers over REST, connectors as data, each user's own credentials.

mod api;
mod api_key;
mod app;
mod auth;
mod authorization_client;
mod authorization_server;
mod call;
mod catalogue;
pub mod cli;
mod clock;
pub mod config;
mod connect;
mod connectors;
mod direct;
mod doctor;
mod egress;
mod error;
mod files;
mod grants;
mod http;
mod jobs;
mod jwt;
mod limits;
mod mcp;
pub mod node;
mod oauth;
mod page;
mod password;
mod read_cache;
mod request;
mod scrub;
mod store;
mod telemetry;
mod upstream;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
