//! The little Markdown that the pages in `docs/errors/` are written in: headings, paragraphs,
//! lists, fenced code, `code` and [links](…). It renders this project's own texts alone.

use super::html::escape;

/// A page as HTML.
pub(super) fn render(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            out.push_str(&format!("<pre><code>{}</code></pre>\n", escape(&code.join("\n"))));
        } else if let Some(title) = line.strip_prefix("# ") {
            out.push_str(&format!("<h1>{}</h1>\n", inline(title)));
        } else if let Some(title) = line.strip_prefix("## ") {
            out.push_str(&format!("<h2>{}</h2>\n", inline(title)));
        } else if let Some(first) = line.strip_prefix("- ") {
            let mut items = vec![first.to_owned()];
            while let Some(line) =
                lines.next_if(|line| line.starts_with("- ") || line.starts_with("  "))
            {
                match (line.strip_prefix("- "), items.last_mut()) {
                    (None, Some(item)) => item.extend([" ", line.trim()]),
                    (next, _) => items.push(next.unwrap_or_default().to_owned()),
                }
            }
            let items: String =
                items.iter().map(|item| format!("<li>{}</li>\n", inline(item))).collect();
            out.push_str(&format!("<ul>\n{items}</ul>\n"));
        } else if !line.trim().is_empty() {
            let mut paragraph = line.to_owned();
            while let Some(line) = lines.next_if(|line| continues(line)) {
                paragraph.extend([" ", line]);
            }
            out.push_str(&format!("<p>{}</p>\n", inline(&paragraph)));
        }
    }
    out
}

/// Whether a line goes on with the paragraph before it.
fn continues(line: &str) -> bool {
    !line.trim().is_empty() && !["- ", "# ", "## ", "```"].iter().any(|mark| line.starts_with(mark))
}

/// `code` and [links](…); everything else is text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            1 => out.push_str(&format!("<code>{}</code>", escape(part))),
            _ => out.push_str(&links(part)),
        }
    }
    out
}

fn links(text: &str) -> String {
    let found = text.split_once('[').and_then(|(before, rest)| {
        let (label, rest) = rest.split_once("](")?;
        let (target, after) = rest.split_once(')')?;
        Some((before, label, target, after))
    });
    let Some((before, label, target, after)) = found else { return escape(text) };
    // Pages link to one another by file, so that the links work in a checkout too.
    let target = target.strip_suffix(".md").unwrap_or(target);
    format!(
        "{}<a href=\"{}\">{}</a>{}",
        escape(before),
        escape(target),
        escape(label),
        links(after)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(render(text).replace('\n', ""), expected, "{text:?}");
    }

    #[test]
    fn the_forms_in_use_are_rendered() {
        check("# A `b` <c>", "<h1>A <code>b</code> &lt;c&gt;</h1>");
        check("## What\n\nOne\ntwo.\n\nThree.", "<h2>What</h2><p>One two.</p><p>Three.</p>");
        check("- a\n  b\n- c\n\nd", "<ul><li>a b</li><li>c</li></ul><p>d</p>");
        check("Text\n- a", "<p>Text</p><ul><li>a</li></ul>");
        check(
            "```json\n{\"a\": \"<b>\"}\n```",
            "<pre><code>{&quot;a&quot;: &quot;&lt;b&gt;&quot;}</code></pre>",
        );
        check(
            "See [that](conflict.md), [this](/api/docs).",
            "<p>See <a href=\"conflict\">that</a>, <a href=\"/api/docs\">this</a>.</p>",
        );
        check("A [bracket] stays", "<p>A [bracket] stays</p>");
    }
}
