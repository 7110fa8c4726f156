//! What was found, as a table for people or as JSON.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

/// The figure of one scenario beside its target.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// What was done.
    pub scenario: String,
    /// What the figure consists of.
    pub measured: String,
    /// The median over the rounds.
    pub figure: f64,
    /// The lowest and the highest of the rounds.
    pub range: (f64, f64),
    /// Of the figure: `x`, `ms`, `MB`, `us`.
    pub unit: &'static str,
    /// The figure must not exceed it; absent = for information.
    pub target: Option<f64>,
}

impl Row {
    /// From one figure for each round.
    pub fn new(scenario: &str, measured: String, figures: Vec<f64>, unit: &'static str, target: Option<f64>) -> Self {
        let range = (figures.iter().copied().fold(f64::INFINITY, f64::min), figures.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        Self { scenario: scenario.to_owned(), measured, figure: median(figures), range, unit, target }
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "-",
            Some(target) if self.figure <= target => "met",
            Some(_) => "MISSED",
        }
    }
}

/// The middle one; 0 of none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let at = |n: usize| figures.get(n).copied().unwrap_or(0.0);
    if figures.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2.0 }
}

/// Prints the rows.
///
/// # Errors
/// A sentence when they cannot be written as JSON.
#[expect(clippy::print_stdout, reason = "the command line speaks to people")]
pub fn print(machine: &str, rows: &[Row], json: bool) -> Result<(), String> {
    if json {
        let all = serde_json::json!({ "machine": machine, "rows": rows });
        println!("{}", serde_json::to_string_pretty(&all).map_err(|e| e.to_string())?);
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["scenario", "measured", "figure", "rounds", "target", "verdict"]);
    for row in rows {
        let number = |value: f64| format!("{value:.*} {}", if value < 10.0 { 2 } else { 1 }, row.unit);
        let range = format!("{} to {}", number(row.range.0), number(row.range.1));
        let target = row.target.map_or("-".to_owned(), |target| format!("at most {target} {}", row.unit));
        table.add_row([row.scenario.clone(), row.measured.clone(), number(row.figure), range, target, row.verdict().to_owned()]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{machine}\n\n{table}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(Vec::new()).abs() < f64::EPSILON);
    }
}
