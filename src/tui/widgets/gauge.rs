//! A gauge of a fixed width: what is spent, what will be, and what is left.

/// The parts of a gauge, from left to right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    pub full: String,
    /// What is going to be spent, as far as that is known.
    pub ahead: String,
    pub empty: String,
}

impl Gauge {
    /// Anything begun shows, and only all of it is full. `forecast` is where it is going to end.
    pub fn of(share: f64, forecast: Option<f64>, columns: usize) -> Self {
        let cells = |share: f64| {
            let exact = share.clamp(0.0, 1.0) * columns as f64;
            if share >= 1.0 { columns } else { (exact.ceil() as usize).min(columns.saturating_sub(1)) }
        };
        let full = cells(share);
        let ahead = forecast.map_or(0, cells).saturating_sub(full);
        Self { full: "▰".repeat(full), ahead: "▪".repeat(ahead), empty: "▱".repeat(columns - full - ahead) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(share: f64, forecast: Option<f64>) -> String {
        let gauge = Gauge::of(share, forecast, 10);
        gauge.full + &gauge.ahead + &gauge.empty
    }

    #[test]
    fn only_all_is_full() {
        let full = |share| Gauge::of(share, None, 10).full.chars().count();
        assert_eq!([full(0.0), full(0.01), full(0.5), full(0.999), full(1.0), full(7.0)], [0, 1, 5, 9, 10, 10]);
        assert_eq!(full(f64::NAN), 0);
    }

    #[test]
    fn the_forecast_follows_what_is_spent() {
        assert_eq!(text(0.2, Some(0.55)), "▰▰▪▪▪▪▱▱▱▱");
        assert_eq!(text(0.2, Some(3.0)), "▰▰▪▪▪▪▪▪▪▪", "too late fills it");
        assert_eq!(text(0.5, Some(0.1)), "▰▰▰▰▰▱▱▱▱▱");
    }
}
