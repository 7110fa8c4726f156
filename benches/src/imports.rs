//! Large documents: what an import costs, and what many such connectors cost a node that holds them.

use std::{fs, path::Path, thread::sleep, time::Duration};

use crate::{
    client::{get, post},
    scenarios::{Bench, megabytes},
    world::{Installation, KEY, Node},
};

/// Connectors of the document.
const MANY: usize = 20;

/// Measures with this document: JSON or YAML.
///
/// # Errors
/// A sentence when something could not be measured.
pub fn run(bench: &mut Bench, document: &Path) -> Result<(), String> {
    let text = fs::read_to_string(document).map_err(|e| format!("cannot read {}: {e}", document.display()))?;
    let installation = Installation::new(&bench.programs, bench.platform.address, 10)?;

    let node = installation.start(&bench.programs)?;
    let before = node.process.cpu_time()?;
    import(&node, &text, 0)?;
    let seconds = node.process.cpu_time()?.since(&before) / 1_000_000.0;
    let peak = megabytes(node.process.memory()?.peak);
    let size = format!("a document of {:.1} MB", text.len() as f64 / 1e6);
    bench.note("import, CPU", &size, vec![seconds], "s", Some(2.0));
    bench.note("import, peak RSS", &size, vec![peak], "MB", Some(300.0));
    node.process.stop()?;

    let few = loaded(&installation.start(&bench.programs)?)?;
    let node = installation.start(&bench.programs)?;
    for number in 1..MANY {
        import(&node, &text, number)?;
    }
    node.process.stop()?;
    let mut starts = Vec::new();
    for _ in 0..bench.rounds {
        let node = installation.start(&bench.programs)?;
        starts.push(node.started_in.as_secs_f64() * 1000.0);
        node.process.stop()?;
    }
    let each = format!("with {MANY} connectors of {size}");
    bench.note("start to the first answer", &each, starts, "ms", Some(500.0));
    let many = loaded(&installation.start(&bench.programs)?)?;
    let more = (many - few) * MANY as f64 / (MANY - 1) as f64;
    bench.note("RSS of imported connectors", &format!("{each}, listed and searched"), vec![more], "MB", Some(150.0));
    Ok(())
}

fn import(node: &Node, text: &str, number: usize) -> Result<(), String> {
    let kind = if text.trim_start().starts_with('{') { "application/json" } else { "application/yaml" };
    let headers = [("authorization".to_owned(), format!("Bearer {KEY}")), ("content-type".to_owned(), kind.to_owned())];
    let (status, answer) = post(node.address, &format!("/api/connectors?id=large{number}"), &headers, text)?;
    if status == 201 { Ok(()) } else { Err(format!("the import answered {status}: {}", String::from_utf8_lossy(&answer))) }
}

/// What a node holds after everything was listed, searched, and one action of each connector looked at. In MB.
fn loaded(node: &Node) -> Result<f64, String> {
    get(node.address, "/api/connectors", KEY)?;
    get(node.address, "/connectors/search?goal=create%20an%20issue%20comment", KEY)?;
    // What building has left over is given back first.
    sleep(Duration::from_secs(5));
    Ok(megabytes(node.process.memory()?.resident))
}
