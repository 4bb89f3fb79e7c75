//! Where the operator looks in a list.

use std::cell::Cell;

/// Where the operator looks in a list: clamped when it is drawn, because only then the height is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Scroll {
    top: Cell<usize>,
    /// The end is in view: where the end is what matters, it stays so.
    ended: Cell<bool>,
}

impl Default for Scroll {
    fn default() -> Self {
        Self { top: Cell::new(0), ended: Cell::new(true) }
    }
}

impl Scroll {
    pub fn by(&self, lines: isize) {
        self.to(self.top.get().saturating_add_signed(lines));
    }
    pub fn to(&self, line: usize) {
        self.top.set(line);
        self.ended.set(false);
    }
    /// The first line that was shown when it was drawn last.
    pub fn top(&self) -> usize {
        self.top.get()
    }
    /// The first line that is shown, of `len` lines in a window of `height`.
    pub fn clamp(&self, len: usize, height: usize) -> usize {
        let last = len.saturating_sub(height);
        self.ended.set(self.top.get() >= last);
        self.top.set(self.top.get().min(last));
        self.top.get()
    }
    /// The same for a list whose end matters: if the end was in view, it still is.
    pub fn follow(&self, len: usize, height: usize) -> usize {
        if self.ended.get() {
            self.top.set(usize::MAX);
        }
        self.clamp(len, height)
    }
    /// Moves as little as needed to show `line`.
    pub fn reveal(&self, line: usize, height: usize) {
        let top = self.top.get();
        if line < top {
            self.top.set(line);
        } else if height > 0 && line >= top + height {
            self.top.set(line + 1 - height);
        }
    }
}
