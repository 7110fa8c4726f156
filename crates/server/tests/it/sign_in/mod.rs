//! MCP clients that are given a server's address alone: they find the authorization server, sign their user in, and call as that user.

mod attacks;
mod clients;
mod flow;
mod passwords;
