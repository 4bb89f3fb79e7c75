//! Alerts of other monitoring have a place on the screen, and are no probes.

use crate::domain::alert::{Alert, NAME, REGION, Ringing};
use crate::domain::command::Ask;

use super::scene::Scene;
use super::stage::Stage;

fn alert(id: &str, name: &str, is: Ringing) -> Alert {
    let labels = [(NAME, name), (REGION, "us-east-1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let summary = "every probe fails".to_owned();
    Alert { id: id.into(), is, source: "alertmanager".into(), labels: labels.into(), summary, starts_at: None }
}

fn shown(scene: Scene) -> String {
    let mut stage = Stage::new(scene);
    stage.keys("1 z");
    stage.text(120, 40)
}

#[test]
fn what_other_monitoring_says_stands_below_the_services() {
    assert!(!shown(Scene::peace()).contains("alerts of other monitoring"), "there is none");
    let mut scene = Scene::peace();
    let alerts = vec![
        alert("a:1", "RegionDown", Ringing::Firing),
        alert("a:2", "DiskFull", Ringing::Unknown),
        alert("a:3", "Gone", Ringing::Resolved),
    ];
    scene.ask_by_hand(Ask::TakeAlerts { alerts });
    scene.pass(600);
    let text = shown(scene);
    for words in [
        "alerts of other monitoring",
        "! RegionDown (us-east-1): every probe fails",
        "? DiskFull (us-east-1): every probe fails",
        "unknown for 10m",
        "1 alert fires",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("Gone"), "what is over is not there any more: {text}");
}

#[test]
fn an_alert_that_nobody_repeats_is_shown_as_old() {
    let mut scene = Scene::peace();
    scene.ask_by_hand(Ask::TakeAlerts { alerts: vec![alert("a:1", "RegionDown", Ringing::Firing)] });
    scene.pass(6 * 3600);
    let text = shown(scene);
    assert!(
        text.contains("? RegionDown") && text.contains("not repeated for 6h") && !text.contains("alert fires"),
        "{text}"
    );
}
