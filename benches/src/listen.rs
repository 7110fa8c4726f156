//! Serves a router with the HTTP settings of a node, so that floor and node differ in what they do and not in how they listen.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;

/// Serves until the process is ended.
///
/// # Errors
/// A sentence when the address cannot be listened on.
pub fn serve(listen: SocketAddr, router: Router) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|e| format!("cannot listen on {listen}: {e}"))?;
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(15)).max_buf_size(64 * 1024).keep_alive(true);
        loop {
            let (stream, _) = listener.accept().await.map_err(|e| format!("cannot accept a connection: {e}"))?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone())));
        }
    })
}
