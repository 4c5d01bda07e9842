use std::time::Duration;

use super::Scenario;

/// What became of a fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Calls that were made, and that failed.
    pub calls: u64,
    /// Of them, so many failed.
    pub failed: u64,
    /// Attempts that went onto a connection, for each call.
    pub amplification: f64,
    /// By second in which calls were made: the share of them that failed, in percent.
    pub failed_percent: Vec<f64>,
    /// By second: what 99 of 100 calls took no longer than, in milliseconds.
    pub p99: Vec<f64>,
    /// Of the whole run: the same, and what half of the calls took no longer than.
    pub whole_p99: f64,
    /// The median.
    pub median: f64,
    /// Calls at the busiest server before anything goes wrong, as a multiple of the mean.
    pub busiest: f64,
    /// While something is wrong with some servers: the calls there, as a multiple of their fair share.
    pub share: Option<f64>,
    /// Seconds from the end of the trouble until it shows no more: fewer than one call in a hundred fails, and `p99` is
    /// less than twice what it was before. `None`: it showed until the end of the run.
    pub recovery: Option<u64>,
}

/// What is counted while a fleet runs.
#[derive(Debug)]
pub(super) struct Measure {
    scenario: Scenario,
    /// By second: how long calls took in milliseconds, and how many failed.
    taken: Vec<Vec<u32>>,
    failed: Vec<u64>,
    attempts: u64,
    /// By server: calls before the trouble, and in it.
    before: Vec<u64>,
    within: Vec<u64>,
}

impl Measure {
    pub(super) fn new(scenario: Scenario, seconds: u64, servers: usize) -> Measure {
        let seconds = seconds as usize;
        Measure {
            scenario,
            taken: vec![Vec::new(); seconds],
            failed: vec![0; seconds],
            attempts: 0,
            before: vec![0; servers],
            within: vec![0; servers],
        }
    }

    pub(super) fn attempt(&mut self, server: usize, at: Duration) {
        self.attempts += 1;
        let at = at.as_secs_f64();
        match self.scenario.trouble() {
            Some((begins, ends)) if (begins..ends).contains(&at) => self.within[server] += 1,
            Some((begins, _)) if at >= begins => {}
            // While connections are made there is nothing to compare.
            _ if at < 3.0 => {}
            _ => self.before[server] += 1,
        }
    }

    pub(super) fn call(&mut self, begun: Duration, took: Duration, failed: bool) {
        let second = begun.as_secs() as usize;
        if let Some(taken) = self.taken.get_mut(second) {
            taken.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
            self.failed[second] += u64::from(failed);
        }
    }

    pub(super) fn report(mut self) -> Report {
        let mut all: Vec<u32> = self.taken.iter().flatten().copied().collect();
        all.sort_unstable();
        let percent = |(taken, failed): (&Vec<u32>, &u64)| 100.0 * *failed as f64 / taken.len().max(1) as f64;
        let failed_percent: Vec<f64> = self.taken.iter().zip(&self.failed).map(percent).collect();
        let p99: Vec<f64> = self
            .taken
            .iter_mut()
            .map(|taken| {
                taken.sort_unstable();
                quantile(taken, 0.99)
            })
            .collect();
        let mean = self.before.iter().sum::<u64>() as f64 / self.before.len() as f64;
        let struck = |server: &usize| self.scenario.strikes(*server);
        let count = (0..self.within.len()).filter(struck).count();
        let at_struck: u64 = (0..self.within.len()).filter(struck).map(|server| self.within[server]).sum();
        let fair = self.within.iter().sum::<u64>() as f64 * count as f64 / self.within.len() as f64;
        let recovery = self.recovery(&failed_percent, &p99);
        Report {
            calls: all.len() as u64,
            failed: self.failed.iter().sum(),
            amplification: self.attempts as f64 / all.len().max(1) as f64,
            whole_p99: quantile(&all, 0.99),
            median: quantile(&all, 0.5),
            busiest: self.before.iter().max().map_or(0.0, |most| *most as f64) / mean.max(1.0),
            share: (count > 0 && count < self.within.len()).then(|| at_struck as f64 / fair.max(1.0)),
            recovery,
            failed_percent,
            p99,
        }
    }

    fn recovery(&self, failed: &[f64], p99: &[f64]) -> Option<u64> {
        let Some((begins, ends)) = self.scenario.trouble() else { return Some(0) };
        let (begins, ends) = (begins as usize, ends as usize);
        let usual = p99.get(begins.saturating_sub(5)..begins)?.iter().copied().fold(0.0, f64::max);
        let shows = |second: &usize| failed[*second] >= 1.0 || p99[*second] >= 2.0 * usual;
        match (ends..failed.len()).rev().find(shows) {
            None => Some(0),
            Some(last) if last + 1 < failed.len() => Some((last + 1 - ends) as u64),
            Some(_) => None,
        }
    }
}

fn quantile(sorted: &[u32], share: f64) -> f64 {
    let index = (share * sorted.len() as f64) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().map_or(0.0, f64::from)
}
