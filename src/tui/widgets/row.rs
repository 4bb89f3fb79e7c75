//! A line that fits. It is made of pieces from both ends, each with its forms from long to short; every piece is shown in the longest
//! form that there is room for, those of the lowest rank first. What is cut ends in `…`, and left and right never touch.
//!
//! This is the only place where a line is made shorter: whoever draws says what matters most, not what is left out.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::format::{fit, width};

/// Pieces without a rank of their own matter in the order in which they are added, after those that have one.
const UNRANKED: usize = 100;

/// A piece of a line.
#[derive(Clone, Debug)]
pub struct Piece {
    /// From long to short.
    forms: Vec<Vec<Span<'static>>>,
    rank: Option<usize>,
    /// Without it the line still says what it has to.
    may_go: bool,
    /// Its last form may be cut to so many columns.
    least: Option<usize>,
}

impl From<Span<'static>> for Piece {
    fn from(span: Span<'static>) -> Self {
        Self::of(vec![span])
    }
}

impl From<&'static str> for Piece {
    fn from(text: &'static str) -> Self {
        Span::raw(text).into()
    }
}

impl Piece {
    /// A piece that is shown as a whole, or not at all.
    pub fn of(spans: Vec<Span<'static>>) -> Self {
        Self { forms: vec![spans], rank: None, may_go: true, least: None }
    }

    /// What is shown instead where there is less room.
    pub fn or(self, shorter: impl Into<Span<'static>>) -> Self {
        self.or_spans(vec![shorter.into()])
    }

    pub fn or_spans(mut self, shorter: Vec<Span<'static>>) -> Self {
        self.forms.push(shorter);
        self
    }

    /// The lower, the more it matters.
    pub fn rank(mut self, rank: usize) -> Self {
        self.rank = Some(rank);
        self
    }

    /// It is never left out.
    pub fn stays(mut self) -> Self {
        self.may_go = false;
        self
    }

    /// Its last form may be cut to `least` columns.
    pub fn cut_to(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    fn shortest(&self) -> usize {
        let last = self.forms.last().map_or(0, |spans| wide(spans));
        match (self.may_go, self.least) {
            (true, _) => 0,
            (false, Some(least)) => last.min(least),
            (false, None) => last,
        }
    }

    /// The longest form in at most `columns`, and what it takes.
    fn within(self, columns: usize) -> Vec<Span<'static>> {
        let (may_go, least) = (self.may_go, self.least);
        let mut last = Vec::new();
        for form in self.forms {
            if wide(&form) <= columns {
                return form;
            }
            last = form;
        }
        let least = least.unwrap_or(usize::MAX).min(wide(&last));
        if columns >= least || !may_go { cut(last, columns) } else { Vec::new() }
    }
}

/// A line in the making.
pub struct Row {
    left: Vec<Piece>,
    right: Vec<Piece>,
    columns: usize,
}

impl Row {
    pub fn new(columns: usize) -> Self {
        Self { left: Vec::new(), right: Vec::new(), columns }
    }

    /// Adds a piece after those on the left. The first one is never left out, but cut where there is no other way.
    pub fn left(&mut self, piece: impl Into<Piece>) -> &mut Self {
        self.add(piece.into());
        self
    }

    /// The same, for those who go through a list.
    pub fn add(&mut self, piece: Piece) {
        let mut piece = self.ranked(piece);
        if self.left.is_empty() && piece.may_go {
            piece.may_go = false;
            piece.least = piece.least.or(Some(1));
        }
        self.left.push(piece);
    }

    /// Adds a piece before those on the right.
    pub fn right(&mut self, piece: impl Into<Piece>) -> &mut Self {
        let piece = self.ranked(piece.into());
        self.right.insert(0, piece);
        self
    }

    fn ranked(&self, mut piece: Piece) -> Piece {
        piece.rank.get_or_insert(UNRANKED + self.left.len() + self.right.len());
        piece
    }

    pub fn into_line(self) -> Line<'static> {
        self.filled(' ', Style::new())
    }

    /// The same with a rule between left and right.
    pub fn ruled(self, style: Style) -> Line<'static> {
        self.filled('─', style)
    }

    fn filled(self, fill: char, style: Style) -> Line<'static> {
        let Self { left, right, columns } = self;
        let ends = left.len();
        let pieces: Vec<Piece> = left.into_iter().chain(right).collect();
        let air = if fill == ' ' { 1 } else { 3 };
        // The gap stays even where the right side turns out to be empty: what is cut may as well be cut a column sooner.
        let gap = if pieces.len() > ends { air.min(columns) } else { 0 };
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|at| pieces[*at].rank);
        let shortest: Vec<usize> = pieces.iter().map(Piece::shortest).collect();
        let (mut room, mut later) = (columns.saturating_sub(gap), shortest.iter().sum::<usize>());
        let mut pieces: Vec<Option<Piece>> = pieces.into_iter().map(Some).collect();
        let mut shown: Vec<Vec<Span<'static>>> = vec![Vec::new(); pieces.len()];
        for at in order {
            let Some(piece) = pieces[at].take() else { continue };
            later -= shortest[at];
            // Those that matter less keep what they need, unless this one would not get what it needs.
            let granted = room.saturating_sub(later).max(shortest[at].min(room));
            shown[at] = piece.within(granted);
            room = room.saturating_sub(wide(&shown[at]));
        }
        let right: Vec<Span<'static>> = shown.split_off(ends).into_iter().flatten().collect();
        let mut spans: Vec<Span<'static>> = shown.into_iter().flatten().collect();
        let between = columns.saturating_sub(wide(&spans) + wide(&right));
        let between = match fill {
            ' ' => " ".repeat(between),
            _ if between > 2 => {
                format!(" {}{}", fill.to_string().repeat(between - 2), if right.is_empty() { fill } else { ' ' })
            }
            _ => " ".repeat(between),
        };
        spans.push(Span::styled(between, style));
        spans.extend(right);
        cut_line(Line::from(spans), columns)
    }
}

fn wide(spans: &[Span<'_>]) -> usize {
    spans.iter().map(|span| width(&span.content)).sum()
}

/// Spans in at most `columns`, the last of them with `…` where something is missing.
pub fn cut(spans: Vec<Span<'static>>, columns: usize) -> Vec<Span<'static>> {
    if wide(&spans) <= columns {
        return spans;
    }
    let (mut out, mut left) = (Vec::new(), columns);
    let last = spans.iter().rposition(|span| !span.content.trim().is_empty()).unwrap_or(0);
    for (at, span) in spans.into_iter().enumerate().take(last + 1) {
        let needs = width(&span.content);
        // Where it just fits, but something follows, its last column is the mark's.
        if needs < left || (needs == left && at == last) {
            left -= needs;
            out.push(span);
            continue;
        }
        let text = if needs == left {
            fit(&format!("{}…", span.content), left).into_owned()
        } else {
            fit(&span.content, left).into_owned()
        };
        out.push(Span::styled(text, span.style));
        break;
    }
    out
}

/// A line in at most `columns`; blanks at its end do not count.
pub fn cut_line(mut line: Line<'static>, columns: usize) -> Line<'static> {
    let text = line.to_string();
    if width(text.trim_end()) > columns {
        line.spans = cut(std::mem::take(&mut line.spans), columns);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut row = Row::new(12);
        row.left("graph").right("4s").left(" application");
        assert_eq!(row.into_line().to_string(), "graph     4s");
    }

    #[test]
    fn left_and_right_never_touch() {
        for columns in 0..20 {
            let mut row = Row::new(columns);
            row.left("seen 15s ago").right("copy 21s");
            let line = row.into_line().to_string();
            assert!(width(&line) <= columns && !line.contains("agocopy"), "{columns}: {line}");
        }
    }

    #[test]
    fn what_matters_most_is_longest() {
        let line = |columns| {
            let mut row = Row::new(columns);
            row.left(Piece::from("name of it").cut_to(3).rank(3));
            row.left(Piece::from(" was declared").or(" decl.").rank(2));
            row.right(Piece::from("4:13 left").stays().rank(1));
            row.into_line().to_string()
        };
        assert_eq!(line(33), "name of it was declared 4:13 left");
        assert_eq!(line(26), "na… was declared 4:13 left");
        assert_eq!(line(25), "name of… decl.  4:13 left");
        assert_eq!(line(13), "na… 4:13 left");
        assert!(line(10).contains("4:13 left"), "{}", line(10));
    }

    #[test]
    fn what_is_cut_says_so() {
        let spans = || vec![Span::raw("one "), Span::raw("two "), Span::raw("three")];
        let text = |columns| cut(spans(), columns).iter().map(|span| span.content.clone()).collect::<String>();
        assert_eq!(text(13), "one two three");
        assert_eq!(text(12), "one two thr…");
        assert_eq!(text(8), "one two…");
        assert_eq!(text(4), "one…");
        assert_eq!(text(0), "");
        assert_eq!(cut_line(Line::from("full      "), 4).to_string(), "full      ", "blanks are no text");
    }

    #[test]
    fn a_rule_fills_what_is_left() {
        let mut row = Row::new(16);
        row.left("3 plan").right("live 4/15");
        assert_eq!(row.ruled(Style::new()).to_string().chars().count(), 16);
        let mut row = Row::new(20);
        row.left("3 plan").right("live 4/15");
        assert_eq!(row.ruled(Style::new()).to_string(), "3 plan ─── live 4/15");
        let mut row = Row::new(12);
        row.left("3 plan");
        assert_eq!(row.ruled(Style::new()).to_string(), "3 plan ─────");
    }
}
