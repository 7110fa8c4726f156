//! What is measured and how: subject and floor in turn, several rounds, the median of the ratios.

use std::{fs, path::PathBuf, thread::sleep, time::Duration};

use clap::Args;

use crate::{
    job::Job,
    process::{Cores, Generator, Process},
    report::{self, Row, median},
    world::{Floor, Installation, Node, Platform, Programs, direct, execute, programs, tools_list},
};

/// Connections at once, where it is about CPU time and memory.
const CONNECTIONS: usize = 32;
/// Order lines that make about 10 KB of arguments.
const LINES_OF_10_KB: usize = 41;

/// How to measure.
#[derive(Args)]
pub struct Options {
    /// Fewer rounds and requests: a look, not a figure
    #[arg(long)]
    quick: bool,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Let the kernel place the processes, instead of keeping the measured one on the first core
    #[arg(long)]
    spread: bool,
    /// Only calls to other MCP servers
    #[arg(long)]
    gateway: bool,
    /// Only searches over many actions
    #[arg(long, conflicts_with_all = ["gateway", "identity"])]
    search: bool,
    /// Only what credentials and user tokens add
    #[arg(long, conflicts_with = "gateway")]
    identity: bool,
    /// Only imports: of this OpenAPI document
    #[arg(long, value_name = "FILE")]
    imports: Option<PathBuf>,
    /// The node's program [default: `amalgam` beside this one]
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,
    /// Servers in the large database
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    servers: usize,
}

/// A process that answers jobs, and what it answers.
pub struct Subject<'a> {
    /// The process.
    pub process: &'a Process,
    /// What it is asked.
    pub job: Job,
}

/// What measures, and what it has found so far.
pub struct Bench {
    /// What is run.
    pub programs: Programs,
    /// What actions call.
    pub platform: Platform,
    /// Who asks.
    pub generator: Generator,
    /// How often each thing is measured.
    pub rounds: usize,
    /// Requests of one measurement.
    pub requests: usize,
    rows: Vec<Row>,
}

/// Measures everything and prints it.
///
/// # Errors
/// A sentence when something could not be measured. A missed target is no error.
pub fn run(options: &Options) -> Result<(), String> {
    let cores = if options.spread { Cores::default() } else { Cores::apart() };
    let programs = programs(options.node.as_deref(), cores)?;
    let (rounds, requests) = match options {
        Options { quick: true, .. } => (3, 3_000),
        // Differences of a few microseconds between rounds that scatter by more.
        Options { gateway: true, .. } | Options { identity: true, .. } => (21, 15_000),
        _ => (7, 15_000),
    };
    let (platform, generator) = (Platform::start(&programs)?, Generator::start(programs.cores.others.as_deref(), &programs.bench)?);
    let mut bench = Bench { programs, platform, generator, rounds, requests, rows: Vec::new() };
    let load = load_average();
    let all = options.imports.is_none() && !options.gateway && !options.identity && !options.search;
    if all {
        bench.against_a_platform(options)?;
    }
    if all || options.identity {
        bench.identity()?;
    }
    if all || options.gateway {
        bench.gateway()?;
    }
    if all || options.search {
        bench.search()?;
    }
    if let Some(document) = &options.imports {
        crate::imports::run(&mut bench, document)?;
    }
    let machine = format!("{}; load average {load} before, {} after; {rounds} rounds", machine(&bench.programs.cores), load_average());
    report::print(&machine, &bench.rows, options.json)
}

impl Bench {
    /// Calls to a platform.
    fn against_a_platform(&mut self, options: &Options) -> Result<(), String> {
        let small = Installation::new(&self.programs, self.platform.address, 10)?;
        let node = small.start(&self.programs)?;
        // What the start has left over is given back first.
        sleep(Duration::from_secs(2));
        let memory = node.process.memory()?;
        self.note("RSS, idle", "after the start and one answer", vec![megabytes(memory.resident)], "MB", Some(30.0));

        self.against_the_floor(&small, &node)?;
        let memory = node.process.memory()?;
        let measured = format!("peak of all of the above, {CONNECTIONS} connections");
        self.note("RSS, under load", &measured, vec![megabytes(memory.peak)], "MB", Some(60.0));
        self.latency(&small, &node)?;
        self.many_servers(&small, &node, options.servers)?;
        drop(node);
        self.starts()
    }

    /// Keeps what was found.
    pub fn note(&mut self, scenario: &str, measured: &str, figures: Vec<f64>, unit: &'static str, target: Option<f64>) {
        self.rows.push(Row::new(scenario, measured.to_owned(), figures, unit, target));
    }

    /// CPU time of each request beside that of the floor, which gets the same requests and gives the same answers.
    fn against_the_floor(&mut self, installation: &Installation, node: &Node) -> Result<(), String> {
        let paths = || installation.paths(10);
        let list = |modern| tools_list(node.address, modern, paths());
        let execute = |modern, lines| execute(node.address, modern, paths(), lines);
        let floor = Floor::start(&self.programs, &list(false), &execute(false, 0))?;
        for (name, job, target) in [
            ("tools/list", list(false), 2.0),
            ("tools/list, revision 2026-07-28", list(true), 2.0),
            ("execute_action_alloy", execute(false, 0), 6.0),
            ("execute_action_alloy, revision 2026-07-28", execute(true, 0), 6.0),
            ("execute_action_alloy, 10 KB arguments", execute(false, LINES_OF_10_KB), 7.0),
        ] {
            let below = Subject { process: &floor.process, job: job.at(floor.address) };
            let subject = Subject { process: &node.process, job };
            let (costs, ratios) = self.compare(&below, &subject, self.requests)?;
            let measured = format!("{:.1} us CPU, floor {:.1} us", costs.1, costs.0);
            self.note(name, &measured, ratios, "x", Some(target));
        }
        Ok(())
    }

    /// The median CPU time of each request of two subjects in microseconds, and the ratio of the second to the first in each round.
    pub fn compare(&mut self, first: &Subject<'_>, second: &Subject<'_>, requests: usize) -> Result<((f64, f64), Vec<f64>), String> {
        for subject in [first, second] {
            self.generator.run(&subject.job.sized(CONNECTIONS, requests / 5))?;
        }
        let (mut costs, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
        for _ in 0..self.rounds {
            let (a, b) = (self.cost(first, requests)?, self.cost(second, requests)?);
            costs.0.push(a);
            costs.1.push(b);
            ratios.push(b / a);
        }
        Ok(((median(costs.0), median(costs.1)), ratios))
    }

    /// CPU time of each request in microseconds, with what is done after the answers (the audit trail).
    pub fn cost(&mut self, subject: &Subject<'_>, requests: usize) -> Result<f64, String> {
        let before = subject.process.cpu_time()?;
        self.generator.run(&subject.job.sized(CONNECTIONS, requests))?;
        sleep(Duration::from_millis(150));
        Ok(subject.process.cpu_time()?.since(&before) / requests as f64)
    }

    /// The median of the answer's time at one connection: the platform called directly, and through the node.
    fn latency(&mut self, installation: &Installation, node: &Node) -> Result<(), String> {
        let requests = self.requests / 5;
        let direct = direct(self.platform.address).sized(1, requests);
        let through = execute(node.address, false, installation.paths(1), 0).sized(1, requests);
        let (mut all, mut differences) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..self.rounds {
            let (a, b) = (self.generator.run(&direct)?.p50_us / 1000.0, self.generator.run(&through)?.p50_us / 1000.0);
            all[0].push(a);
            all[1].push(b);
            differences.push(b - a);
        }
        let [a, b] = all.map(median);
        let measured = format!("{b:.3} ms, called directly {a:.3} ms");
        self.note("p50 added, one connection", &measured, differences, "ms", Some(0.25));
        Ok(())
    }

    /// The cost of a call in a database of ten servers and in a large one.
    fn many_servers(&mut self, small: &Installation, few: &Node, servers: usize) -> Result<(), String> {
        let large = Installation::new(&self.programs, self.platform.address, servers)?;
        let many = large.start(&self.programs)?;
        let subject = |node: &'_ Node, paths| execute(node.address, false, paths, 0);
        for (called, target) in [(10, Some(1.1)), (10_000.min(servers), None)] {
            let first = Subject { process: &few.process, job: subject(few, small.paths(10)) };
            let second = Subject { process: &many.process, job: subject(&many, large.paths(called)) };
            let (costs, ratios) = self.compare(&first, &second, self.requests.max(called))?;
            let name = format!("execute_action_alloy, {servers} servers, {called} of them called");
            let measured = format!("{:.1} us CPU, with 10 servers {:.1} us", costs.1, costs.0);
            self.note(&name, &measured, ratios, "x", target);
        }
        drop(many);
        // After a new start each server is called once: its token and its row come from the database.
        let many = large.start(&self.programs)?;
        let all = Subject { process: &many.process, job: subject(&many, large.paths(servers)) };
        let cold = self.cost(&all, servers)?;
        self.note("execute_action_alloy, first call of a server", "CPU of one call with nothing in the caches", vec![cold], "us", None);
        let memory = many.process.memory()?;
        self.note(
            "RSS, all servers called",
            &format!("peak after {servers} servers were called"),
            vec![megabytes(memory.peak)],
            "MB",
            None,
        );
        Ok(())
    }

    /// From the start of the process to its first answer, with 10,000 servers in the database.
    fn starts(&mut self) -> Result<(), String> {
        let installation = Installation::new(&self.programs, self.platform.address, 10_000)?;
        let mut times = Vec::new();
        for _ in 0..=self.rounds {
            let node = installation.start(&self.programs)?;
            times.push(node.started_in.as_secs_f64() * 1000.0);
            node.process.stop()?;
        }
        self.note("start, 10,000 servers", "from exec to the first answer to tools/list", times, "ms", Some(150.0));
        Ok(())
    }
}

/// Of bytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// Nothing that names the machine.
fn machine(placed: &Cores) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let apart = match placed.subject {
        Some(_) => "the measured process on the first, everything else on the others",
        None => "processes wherever the kernel puts them",
    };
    format!("{cores} cores, {apart}; release build")
}

fn load_average() -> String {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}
