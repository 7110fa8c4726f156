//! The command line, as people run it: the built binary against a node that is the built binary.

mod administration;
mod connectors;
mod failures;
mod servers;
mod support;
mod workbench;
