//! Links into the expression browser.

use go_template::escape_query;

/// The path of an expression's graph, to be put after the external URL.
pub fn graph_link(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=0", escape_query(expr))
}

/// The path of an expression's table, to be put after the external URL: what alerts carry as their generator URL.
pub fn table_link(expr: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", escape_query(expr))
}
