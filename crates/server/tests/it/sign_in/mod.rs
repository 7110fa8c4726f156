//! MCP clients that are given a server's address alone: they find the authorization server, sign their user in, and call as that user.

mod attacks;
mod clients;
mod external;
mod flow;
mod passwords;
mod provider;
