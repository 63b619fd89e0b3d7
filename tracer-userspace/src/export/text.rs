//! Foreign text made harmless for a terminal: no control, no direction overrides, bounded width.
//! Takes any string; gives one that fills at most so many columns.
//! Every string of a traced program or a server passes here before it is shown.

use unicode_width::UnicodeWidthChar;

/// Shown in place of what a terminal would obey instead of show.
const REPLACEMENT: char = '\u{fffd}';

/// Shown where text was cut.
const ELLIPSIS: char = '…';

/// Marks without a width of their own that a character may carry; more would pile up over the
/// lines above and below.
const MARKS: usize = 2;

/// The text on one line, cut to `columns`. White space of any kind is one space.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let mut shown = String::new();
    let mut used = 0;
    for character in harmless(text) {
        let width = character.width().unwrap_or(0);
        if used + width > columns {
            return cut(shown, columns);
        }
        used += width;
        shown.push(character);
    }
    shown
}

/// Makes room for the ellipsis.
fn cut(mut shown: String, columns: usize) -> String {
    while width(&shown) + 1 > columns && shown.pop().is_some() {}
    if columns > 0 {
        shown.push(ELLIPSIS);
    }
    shown
}

/// Columns that harmless text fills.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The text filled up with spaces on its right.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let padding = columns.saturating_sub(width(&text));
    text + &" ".repeat(padding)
}

/// The text filled up with spaces on its left.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// The text in at most `lines` lines of `columns`; paragraphs are kept, words not torn where it can
/// be. Looks at no more of the text than can be shown.
pub(super) fn wrap(text: &str, columns: usize, lines: usize) -> Vec<String> {
    let columns = columns.max(1);
    let looked_at = (columns + 1) * (MARKS + 1) * (lines + 1);
    let is_whole = text.char_indices().nth(looked_at).is_none();
    let head: String = text.chars().take(looked_at).collect();
    let mut wrapped: Vec<String> = head
        .lines()
        .map(|line| harmless(line).collect::<String>())
        .filter(|line| !line.trim().is_empty())
        .flat_map(|line| {
            let words = textwrap::wrap(&line, columns).into_iter();
            words.map(std::borrow::Cow::into_owned).collect::<Vec<_>>()
        })
        .collect();
    if wrapped.len() > lines || !is_whole {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.pop() {
            let last = if width(&last) < columns { last + "…" } else { cut(last, columns) };
            wrapped.push(last);
        }
    }
    wrapped
}

fn harmless(text: &str) -> impl Iterator<Item = char> {
    let mut marks = 0;
    text.chars().filter_map(move |character| {
        if character.is_whitespace() {
            marks = 0;
            return Some(' ');
        }
        if character.is_control() || is_invisible(character) {
            return Some(REPLACEMENT);
        }
        marks = if character.width() == Some(0) { marks + 1 } else { 0 };
        (marks <= MARKS).then_some(character)
    })
}

/// Format characters (Unicode general category Cf): they change direction or order of the text
/// around them, or hide in it. Also the variation and tag characters that can carry hidden text.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_lose_their_power() {
        assert_eq!(fit("\u{1b}[2Jgpt\r\n4\u{9b}31m", 40), "\u{fffd}[2Jgpt  4\u{fffd}31m");
        assert_eq!(fit("abc\u{202e}fed\u{2066}", 40), "abc\u{fffd}fed\u{fffd}");
        assert_eq!(fit("a\u{200b}b\u{e0041}", 40), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let text = format!("a{}b", "\u{301}".repeat(10_000));
        assert_eq!(fit(&text, 40), "a\u{301}\u{301}b");
    }

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(fit("gpt-4o-mini", 11), "gpt-4o-mini");
        assert_eq!(fit("gpt-4o-mini", 10), "gpt-4o-mi…");
        assert_eq!(fit("模型模型", 8), "模型模型");
        assert_eq!(fit("模型模型", 7), "模型模…");
        assert_eq!(fit("模型模型", 6), "模型…");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn padding_fills_the_columns() {
        assert_eq!(left("ab", 4), "ab  ");
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(left("模型模型", 7), "模型模…");
    }

    #[test]
    fn paragraphs_are_wrapped_and_cut() {
        assert_eq!(wrap("one two three\n\nfour", 8, 9), ["one two", "three", "four"]);
        assert_eq!(wrap("one two three four", 8, 2), ["one two", "three…"]);
        assert_eq!(wrap(&"x".repeat(1_000_000), 8, 2), ["xxxxxxxx", "xxxxxxx…"]);
        assert!(wrap("\n \n", 8, 2).is_empty());
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_bounds(text in "\\PC*|.*", columns in 0_usize..40, lines in 1_usize..5) {
            let is_harmless = |text: &str| !text.chars().any(|c| c.is_control() || is_invisible(c));
            let line = fit(&text, columns);
            prop_assert!(width(&line) <= columns && is_harmless(&line));
            prop_assert_eq!(width(&left(&text, columns)), columns);
            let wrapped = wrap(&text, columns, lines);
            prop_assert!(wrapped.len() <= lines);
            for line in wrapped {
                prop_assert!(width(&line) <= columns.max(2), "{}", line);
                prop_assert!(is_harmless(&line));
            }
        }
    }
}
