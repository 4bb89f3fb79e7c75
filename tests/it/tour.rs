//! README's two minutes, key by key: its table is read, and played on the demo as whoever follows it would.

use std::fs;

use crate::common::eventually;
use crate::demo::Place;
use crate::terminal::Cockpit;

/// A row of the table: when, and the keys to press.
struct Row {
    when: String,
    keys: Vec<String>,
}

fn table() -> Vec<Row> {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, tour) = readme.split_once("\n## Two minutes\n").expect("the tour is there");
    let (tour, _) = tour.split_once("\n## ").unwrap();
    let rows = tour.lines().filter(|line| line.starts_with('|')).skip(2);
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        Row { when: cells[1].to_owned(), keys: quoted(cells[2]) }
    })
    .collect()
}

async fn presses(cockpit: &Cockpit, keys: &[String]) {
    for key in keys {
        // A key that reaches people counts only on what has been on screen for a moment: so presses one who reads.
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        cockpit.press(if key == "Enter" { "\r" } else { key });
    }
}

/// Every gate of the run, each by the keys of the two rows that tell how.
async fn answers_gates(cockpit: &Cockpit, open: &[String], confirm: &[String]) -> usize {
    let mut answered = Vec::new();
    loop {
        let screen = cockpit.screen();
        if screen.contains("close INC-") {
            return answered.len();
        }
        let gate = screen.split_once("answer the gate of ").and_then(|(_, rest)| rest.split_whitespace().next());
        if let Some(gate) = gate.map(str::to_owned).filter(|gate| !answered.contains(gate)) {
            presses(cockpit, open).await;
            cockpit.shows("change").await;
            presses(cockpit, confirm).await;
            let phrase = eventually("it is confirmed, or a name is asked for", async || {
                let screen = cockpit.screen();
                let asked = screen
                    .split_once("to go ahead: ")
                    .and_then(|(_, rest)| rest.split_whitespace().next().map(str::to_owned));
                (asked.is_some() || !screen.contains(&format!("answer the gate of {gate}"))).then_some(asked)
            });
            if let Some(phrase) = phrase.await {
                cockpit.press(&phrase);
                presses(cockpit, &["Enter".to_owned()]).await;
            }
            answered.push(gate);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_goes_as_it_is_told() {
    let rows = table();
    let keys = |at: usize| rows[at].keys.iter().map(String::as_str).collect::<Vec<_>>();
    let all: Vec<(&str, Vec<&str>)> = (0..rows.len()).map(|at| (rows[at].when.as_str(), keys(at))).collect();
    let expected = [
        ("us-east-1 turns `✗ DOWN`", vec!["D", "Enter", "Enter"]),
        ("", vec!["A", "y"]),
        ("", vec!["r", "Enter"]),
        ("a step says `◆ GATE`", vec!["Enter"]),
        ("", vec!["c"]),
        ("something is odd", vec!["H"]),
        ("", vec!["b"]),
        ("it is over", vec!["C"]),
    ];
    assert_eq!(all, expected, "the table changed: this test plays it, so change what it plays");

    let place = Place::new();
    let mut cockpit = place.open("tour", "demo --speed 10");
    cockpit.shows("us-east-1 DOWN").await;
    presses(&cockpit, &rows[0].keys).await;
    cockpit.shows("INC-").await;
    presses(&cockpit, &rows[1].keys).await;
    cockpit.shows("ARMED").await;
    presses(&cockpit, &rows[2].keys).await;
    cockpit.shows("answer the gate of").await;
    // Odd or not: HOLD is on for as long as nobody releases it, and the commands by hand are there meanwhile.
    presses(&cockpit, &rows[5].keys).await;
    cockpit.shows("HOLD").await;
    presses(&cockpit, &rows[6].keys).await;
    cockpit.shows("by hand").await;
    cockpit.press("G");
    cockpit.shows("# Later, record").await;
    cockpit.press("\x1b");
    presses(&cockpit, &rows[5].keys).await;
    presses(&cockpit, &["y".to_owned()]).await;
    assert!(answers_gates(&cockpit, &rows[3].keys, &rows[4].keys).await >= 2);
    presses(&cockpit, &rows[7].keys).await;
    cockpit.shows("close the incident").await;
    cockpit.press("the west serves");
    presses(&cockpit, &["Enter".to_owned(), "Enter".to_owned()]).await;
    cockpit.press("the day shift goes through the checklist");
    presses(&cockpit, &["Enter".to_owned()]).await;
    cockpit.shows("no incident").await;
    cockpit.press("R");
    cockpit.shows("Post-incident").await;
    cockpit.press("q");
    cockpit.press("q");
    cockpit.left(0).await;
}
