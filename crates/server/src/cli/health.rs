//! `amalgam health`: can the node serve.

use super::{client::Session, failure::Result};

/// Asks `/ready`: a node that is alive and cannot serve is refused with the reason.
pub async fn run(Session { client, screen }: Session) -> Result {
    let answer = client.get(&["ready"], &[]).await?;
    screen.said(&answer, "The node is ready.")
}
