//! Runs the fleet through everything that can befall it, and draws what comes of it:
//! `farcall-fleet DIRECTORY [CLIENTS SERVERS]`. The same figures come of the same numbers.

use std::{
    fmt::Write,
    path::Path,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use farcall_sim::fleet::{HEDGES, RETRIES, Report, Scenario, Setup, chart, policies, run};

/// Servers that one client uses.
const SUBSET: usize = 8;

/// One chart with its table.
struct Page {
    scenario: Scenario,
    file: String,
    heading: String,
    runs: Vec<(&'static str, bool, Setup)>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: usize| match arguments.get(index) {
        None => Some(default),
        Some(text) => text.parse().ok().filter(|number| *number > 0),
    };
    let (Some(directory), Some(clients), Some(servers)) = (arguments.first(), number(1, 200), number(2, 40)) else {
        eprintln!("usage: farcall-fleet DIRECTORY [CLIENTS SERVERS]");
        return ExitCode::from(2);
    };
    let pages = pages(clients, servers);
    let mut text = format!(
        "# Results\n\nWritten by `make fleet`: {clients} clients, {servers} servers, of which each client uses\n         {SUBSET} (with pick_first: one), seed 1. [What they mean](README.md).\n"
    );
    let setups: Vec<&Setup> = pages.iter().flat_map(|page| page.runs.iter().map(|(_, _, setup)| setup)).collect();
    let mut reports = side_by_side(&setups).into_iter();
    for page in &pages {
        let runs: Vec<(&str, bool, Report)> =
            page.runs.iter().zip(&mut reports).map(|((name, judged, _), report)| (*name, *judged, report)).collect();
        let path = Path::new(directory).join(&page.file);
        if let Err(error) = std::fs::write(&path, chart(page.scenario, &runs)) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
        let _ = write!(text, "\n## {}\n\n![{}]({})\n\n{}", page.heading, page.heading, page.file, table(&runs));
    }
    let path = Path::new(directory).join("results.md");
    if let Err(error) = std::fs::write(&path, text) {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn pages(clients: usize, servers: usize) -> Vec<Page> {
    let setup = |scenario, policy: String, attempts: &str| Setup {
        clients,
        servers,
        // About half of what the servers can do.
        rate: 40.0 * servers as f64 / clients as f64,
        seconds: 40,
        scenario,
        policy,
        attempts: attempts.to_owned(),
        seed: 1,
    };
    let of_policies = |scenario: Scenario| Page {
        scenario,
        file: format!("{}.svg", scenario.name()),
        heading: scenario.title().to_owned(),
        runs: policies(Some(SUBSET))
            .into_iter()
            .map(|(name, judged, policy)| (name, judged, setup(scenario, policy, "")))
            .collect(),
    };
    let in_turn = policies(Some(SUBSET)).swap_remove(2).2;
    let of_attempts = |scenario: Scenario| Page {
        scenario,
        file: format!("{}-attempts.svg", scenario.name()),
        heading: format!("{}: calls made again, under round_robin", scenario.title()),
        runs: [("once", ""), ("retries", RETRIES), ("hedging", HEDGES)]
            .into_iter()
            .map(|(name, attempts)| (name, false, setup(scenario, in_turn.clone(), attempts)))
            .collect(),
    };
    let again = [Scenario::SlowTenth, Scenario::FailingTenth, Scenario::LostZone, Scenario::Outage];
    Scenario::ALL.into_iter().map(of_policies).chain(again.into_iter().map(of_attempts)).collect()
}

/// On all processors; the reports in the order of their setups.
fn side_by_side(setups: &[&Setup]) -> Vec<Report> {
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(vec![None; setups.len()]));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(setup) = setups.get(index) else { return };
                    let report = run(setup);
                    eprintln!("{} of {}: {}", index + 1, setups.len(), setup.scenario.name());
                    reports.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(report);
                }
            });
        }
    });
    reports.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

fn table(runs: &[(&str, bool, Report)]) -> String {
    let mut text = "| | outlier detection | failed, % | median, ms | p99, ms | busiest server | share of the sick | attempts a call | recovery, s |\n\
         |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (name, judged, report) in runs {
        let share = report.share.map_or("–".to_owned(), |share| format!("{share:.2}"));
        let recovery = report.recovery.map_or("no".to_owned(), |seconds| seconds.to_string());
        let _ = writeln!(
            text,
            "| {name} | {} | {:.2} | {:.0} | {:.0} | {:.2} | {share} | {:.2} | {recovery} |",
            if *judged { "on" } else { "off" },
            100.0 * report.failed as f64 / report.calls.max(1) as f64,
            report.median,
            report.whole_p99,
            report.busiest,
            report.amplification,
        );
    }
    text
}
