//! Users' own accounts by OAuth: consent in a browser, tokens that stay good, and everything that goes wrong on the way.

mod connect;
mod doctor;
mod isolation;
mod links;
mod renewal;
