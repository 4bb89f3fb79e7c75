//! A graph of what needs what, from left to right: stages of nodes, and between them the lines that lead from one to the next.
//!
//! A node stands one stage after the last of those it needs. A line that leads past a stage has a row of its own in it; every source has
//! a track of its own between two stages, so that lines of different sources meet only where they lead to the same node.

use std::collections::{BTreeMap, BTreeSet};

/// What stands in a row of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Node(usize),
    /// The lines of this node go past.
    Pass(usize),
}

/// The lines of one source between two stages.
#[derive(Clone, Debug)]
struct Net {
    source: usize,
    from: usize,
    /// The rows that it leads to, and the nodes that it leads to in the end.
    to: Vec<(usize, Vec<usize>)>,
    /// Where it turns, counted from the left; straight lines need none.
    track: Option<usize>,
}

/// A graph that was laid out.
pub struct Graph {
    stages: Vec<Vec<(Item, usize)>>,
    gutters: Vec<Vec<Net>>,
    /// How many rows of nodes there are.
    pub rows: usize,
}

/// A piece of a line in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    pub glyph: char,
    /// On the way that was said to matter.
    pub heavy: bool,
}

/// Where a node is: its stage, and its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub stage: usize,
    pub row: usize,
    /// Something needs it.
    pub leads_on: bool,
}

impl Graph {
    /// Of nodes that need only such as stand before them.
    pub fn of(needs: &[Vec<usize>]) -> Self {
        let mut stage = vec![0; needs.len()];
        let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); needs.len()];
        for (at, needed) in needs.iter().enumerate() {
            for need in needed.iter().copied().filter(|need| *need < at) {
                stage[at] = stage[at].max(stage[need] + 1);
                let all: BTreeSet<usize> = before[need].iter().copied().chain([need]).collect();
                before[at].extend(all);
            }
        }
        // What follows from other lines needs none of its own.
        let kept: Vec<Vec<usize>> = (0..needs.len())
            .map(|at| {
                let needed = needs[at].iter().copied().filter(|need| *need < at);
                needed
                    .filter(|need| !needs[at].iter().any(|other| *other < at && before[*other].contains(need)))
                    .collect()
            })
            .collect();
        let stages = place(&stage, &kept);
        let rows = stages.iter().flatten().map(|(_, row)| row + 1).max().unwrap_or(0);
        let gutters = (1..stages.len()).map(|at| nets(&stages, &stage, &kept, at)).collect();
        Self { stages, gutters, rows }
    }

    pub fn stages(&self) -> usize {
        self.stages.len()
    }

    /// The columns of all that lies between the stages.
    pub fn between(&self) -> usize {
        (0..self.gutters.len()).map(|at| self.gutter(at)).sum()
    }

    fn gutter(&self, at: usize) -> usize {
        self.gutters[at].iter().filter(|net| net.track.is_some()).count() * 2 + 2
    }

    /// The column at which a stage begins, when they are so wide.
    pub fn column(&self, stage: usize, wide: &[usize]) -> usize {
        wide.iter().take(stage).enumerate().map(|(at, wide)| wide + self.gutter(at)).sum()
    }

    /// The stage of a node.
    pub fn stage_of(&self, node: usize) -> usize {
        self.stages.iter().position(|items| items.iter().any(|(item, _)| *item == Item::Node(node))).unwrap_or(0)
    }

    /// The places of all nodes, by their numbers.
    pub fn places(&self) -> BTreeMap<usize, Place> {
        let mut out = BTreeMap::new();
        for (stage, items) in self.stages.iter().enumerate() {
            for (item, row) in items {
                let Item::Node(node) = *item else { continue };
                let leads_on = self.gutters.get(stage).is_some_and(|nets| nets.iter().any(|net| net.source == node));
                out.insert(node, Place { stage, row: *row, leads_on });
            }
        }
        out
    }

    /// Every line, cell by cell, when the stages are so wide and rows so high. `heavy` says whether the way from one node to another matters.
    pub fn strokes(
        &self,
        wide: &[usize],
        high: usize,
        heavy: impl Fn(usize, usize) -> bool,
    ) -> BTreeMap<(usize, usize), Stroke> {
        let mut pen = Pen::default();
        for (at, nets) in self.gutters.iter().enumerate() {
            let (left, right) = (self.column(at, wide) + wide[at], self.column(at + 1, wide));
            for net in nets {
                let (y, turn) = (net.from * high, left + 1 + 2 * net.track.unwrap_or(0));
                let any = net.to.iter().any(|(_, ends)| ends.iter().any(|end| heavy(net.source, *end)));
                if self.stages[at].iter().any(|(item, row)| *item == Item::Pass(net.source) && *row == net.from) {
                    (left - wide[at]..left).for_each(|x| pen.draw(x, y, LEFT | RIGHT, any));
                }
                for (row, ends) in &net.to {
                    let matters = ends.iter().any(|end| heavy(net.source, *end));
                    pen.path((left, y), turn, (right - 1, row * high), matters);
                }
            }
        }
        pen.0.into_iter().map(|(at, (bits, heavy))| (at, Stroke { glyph: glyph(bits, heavy), heavy })).collect()
    }
}

/// Puts every node, and every line that goes past, into its stage and a row near those it comes from.
fn place(stage: &[usize], kept: &[Vec<usize>]) -> Vec<Vec<(Item, usize)>> {
    let count = stage.iter().map(|at| at + 1).max().unwrap_or(0);
    let mut items: Vec<Vec<Item>> = vec![Vec::new(); count];
    for (node, at) in stage.iter().enumerate() {
        items[*at].push(Item::Node(node));
    }
    for source in 0..stage.len() {
        let far = (0..stage.len()).filter(|node| kept[*node].contains(&source)).map(|node| stage[node]).max();
        for passed in items.iter_mut().take(far.unwrap_or(0)).skip(stage[source] + 1) {
            passed.push(Item::Pass(source));
        }
    }
    let most = items.iter().map(Vec::len).max().unwrap_or(0);
    let mut placed: Vec<Vec<(Item, usize)>> = Vec::new();
    for items in items {
        let row_of = |source: usize| {
            let last = placed.last()?;
            last.iter()
                .find(|(item, _)| matches!(item, Item::Node(it) | Item::Pass(it) if *it == source))
                .map(|(_, row)| *row)
        };
        let middle = |item: &Item| {
            let rows: Vec<usize> = match item {
                Item::Node(node) => kept[*node].iter().filter_map(|need| row_of(*need)).collect(),
                Item::Pass(source) => row_of(*source).into_iter().collect(),
            };
            if rows.is_empty() { 0.0 } else { rows.iter().sum::<usize>() as f64 / rows.len() as f64 }
        };
        let mut wanted: Vec<(f64, Item)> = items.iter().map(|item| (middle(item), *item)).collect();
        wanted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (mut next, len) = (0, wanted.len());
        let rows = wanted.into_iter().enumerate().map(|(nth, (middle, item))| {
            let row = (middle as usize).min(most - (len - nth)).max(next);
            next = row + 1;
            (item, row)
        });
        let rows: Vec<(Item, usize)> = rows.collect();
        placed.push(rows);
    }
    placed
}

/// The lines that lead into the stage `at`.
fn nets(stages: &[Vec<(Item, usize)>], stage: &[usize], kept: &[Vec<usize>], at: usize) -> Vec<Net> {
    let mut nets: Vec<Net> = Vec::new();
    for (item, from) in &stages[at - 1] {
        let (Item::Node(source) | Item::Pass(source)) = *item;
        let leads = |node: usize| kept[node].contains(&source);
        let to: Vec<(usize, Vec<usize>)> = stages[at]
            .iter()
            .filter_map(|(item, row)| match *item {
                Item::Node(node) if leads(node) => Some((*row, vec![node])),
                Item::Pass(other) if other == source => {
                    Some((*row, (0..stage.len()).filter(|node| stage[*node] > at && leads(*node)).collect()))
                }
                _ => None,
            })
            .collect();
        if !to.is_empty() {
            nets.push(Net { source, from: *from, to, track: None });
        }
    }
    // So ordered, lines that go the same way do not cross: of those that go down, the lowest turns first.
    let turns = |net: &Net| net.to.iter().any(|(row, _)| *row != net.from);
    let up = |net: &Net| net.to.iter().all(|(row, _)| *row <= net.from);
    let mut order: Vec<usize> = (0..nets.len()).filter(|at| turns(&nets[*at])).collect();
    order.sort_by_key(|at| if up(&nets[*at]) { (0, nets[*at].from) } else { (1, usize::MAX - nets[*at].from) });
    for (track, at) in order.into_iter().enumerate() {
        nets[at].track = Some(track);
    }
    nets
}

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// What was drawn so far: in which directions each cell leads, and whether it matters.
#[derive(Default)]
struct Pen(BTreeMap<(usize, usize), (u8, bool)>);

impl Pen {
    fn draw(&mut self, x: usize, y: usize, bits: u8, heavy: bool) {
        let cell = self.0.entry((x, y)).or_default();
        cell.0 |= bits;
        cell.1 |= heavy;
    }

    /// From the left to the column `turn`, up or down there, and on to the right.
    fn path(&mut self, (x, y): (usize, usize), turn: usize, (end, row): (usize, usize), heavy: bool) {
        if y == row {
            (x..=end).for_each(|x| self.draw(x, y, LEFT | RIGHT, heavy));
            return;
        }
        (x..turn).for_each(|x| self.draw(x, y, LEFT | RIGHT, heavy));
        let (first, last) = if row > y { (DOWN, UP) } else { (UP, DOWN) };
        self.draw(turn, y, LEFT | first, heavy);
        (y.min(row) + 1..y.max(row)).for_each(|y| self.draw(turn, y, UP | DOWN, heavy));
        self.draw(turn, row, last | RIGHT, heavy);
        (turn + 1..=end).for_each(|x| self.draw(x, row, LEFT | RIGHT, heavy));
    }
}

fn glyph(bits: u8, heavy: bool) -> char {
    let (light, bold) = match bits {
        b if b == DOWN | RIGHT => ('┌', '┏'),
        b if b == DOWN | LEFT => ('┐', '┓'),
        b if b == UP | RIGHT => ('└', '┗'),
        b if b == UP | LEFT => ('┘', '┛'),
        b if b == UP | DOWN => ('│', '┃'),
        b if b == UP | DOWN | RIGHT => ('├', '┣'),
        b if b == UP | DOWN | LEFT => ('┤', '┫'),
        b if b == DOWN | LEFT | RIGHT => ('┬', '┳'),
        b if b == UP | LEFT | RIGHT => ('┴', '┻'),
        b if b == UP | DOWN | LEFT | RIGHT => ('┼', '╋'),
        _ => ('─', '━'),
    };
    if heavy { bold } else { light }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The graph with letters for nodes.
    fn picture(needs: &[Vec<usize>], heavy: impl Fn(usize, usize) -> bool) -> String {
        let graph = Graph::of(needs);
        let wide = vec![1; graph.stages()];
        let strokes = graph.strokes(&wide, 1, heavy);
        let columns = graph.column(graph.stages() - 1, &wide) + 1;
        let mut rows = vec![vec![' '; columns]; graph.rows];
        strokes.iter().for_each(|((x, y), stroke)| rows[*y][*x] = stroke.glyph);
        for (node, place) in graph.places() {
            rows[place.row][graph.column(place.stage, &wide)] = char::from(b'a' + u8::try_from(node).unwrap());
        }
        rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chain_is_a_line() {
        assert_eq!(picture(&[vec![], vec![0], vec![1]], |_, _| false), "a──b──c");
    }

    #[test]
    fn lines_part_and_meet() {
        let needs = [vec![], vec![0], vec![0], vec![1, 2]];
        assert_eq!(picture(&needs, |_, _| false), "a─┬──b─┬──d\n  └──c─┘");
    }

    #[test]
    fn what_follows_from_other_lines_has_none() {
        let needs = [vec![], vec![0], vec![0, 1]];
        assert_eq!(picture(&needs, |_, _| false), "a──b──c");
    }

    #[test]
    fn the_way_that_matters_is_heavy() {
        let needs = [vec![], vec![0], vec![0], vec![1, 2]];
        let text = picture(&needs, |from, to| (from, to) == (0, 2) || (from, to) == (2, 3));
        assert!(text.contains('━') && text.contains('┗'), "{text}");
    }

    #[test]
    fn a_line_goes_past_a_stage_in_a_row_of_its_own() {
        // d needs c, which needs b; e needs d and a.
        let needs = [vec![], vec![], vec![1], vec![2], vec![0, 3]];
        let text = picture(&needs, |_, _| false);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().next().unwrap().starts_with("a──────"), "{text}");
    }

    #[test]
    fn no_two_things_are_in_one_place() {
        let mut seed = 7_u64;
        for _ in 0..200 {
            let needs: Vec<Vec<usize>> = (0..14)
                .map(|at| {
                    (0..at)
                        .filter(|_| {
                            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                            seed >> 61 == 0
                        })
                        .collect()
                })
                .collect();
            let graph = Graph::of(&needs);
            let wide: Vec<usize> = (0..graph.stages()).map(|stage| 5 + stage % 4).collect();
            let (places, strokes) = (graph.places(), graph.strokes(&wide, 2, |_, _| false));
            assert_eq!(places.len(), needs.len());
            let cells: BTreeSet<(usize, usize)> = places.values().map(|place| (place.stage, place.row)).collect();
            assert_eq!(cells.len(), needs.len(), "two nodes in one place");
            for place in places.values() {
                let x = graph.column(place.stage, &wide);
                let crossed = (x..x + wide[place.stage]).any(|x| strokes.contains_key(&(x, place.row * 2)));
                assert!(!crossed, "a line goes through a node");
            }
        }
    }
}
