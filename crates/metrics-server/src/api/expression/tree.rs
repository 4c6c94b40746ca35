//! A parsed expression as JSON, for editors.

use model::{Matcher, format_float};
use promql::Expr;
use promql_syntax::{AtModifier, Cardinality, DurationArg, VectorMatching, VectorSelector};
use serde_json::{Value, json};

/// A node with its children. The parser bounds the depth.
pub(super) fn node(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.as_str(),
            "expr": node(&aggregate.expr),
            "param": aggregate.param.as_ref().map(node),
            "grouping": aggregate.grouping,
            "without": aggregate.without,
        }),
        Expr::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.as_str(),
            "lhs": node(&binary.left),
            "rhs": node(&binary.right),
            "matching": binary.matching.as_ref().map(matching),
            "bool": binary.return_bool,
        }),
        Expr::Call(call) => json!({
            "type": "call",
            "func": {
                "name": call.function.name,
                "argTypes": call.function.args.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
                "returnType": call.function.returns.as_str(),
            },
            "args": call.args.iter().map(node).collect::<Vec<_>>(),
        }),
        Expr::Subquery(subquery) => json!({
            "type": "subquery",
            "expr": node(&subquery.expr),
            "range": duration(&subquery.range),
            "step": subquery.step.as_ref().map_or(json!(0), duration),
            "offset": duration(&subquery.offset),
            "timestamp": fixed_time(subquery.at),
            "startOrEnd": start_or_end(subquery.at),
        }),
        Expr::Matrix(matrix) => {
            let mut shown = selector("matrixSelector", &matrix.selector);
            shown["range"] = duration(&matrix.range);
            shown
        }
        Expr::Vector(vector) => selector("vectorSelector", vector),
        Expr::Number(number) => json!({"type": "numberLiteral", "val": format_float(number.value)}),
        Expr::String(text) => json!({"type": "stringLiteral", "val": text.value}),
        Expr::Paren(paren) => json!({"type": "parenExpr", "expr": node(&paren.expr)}),
        Expr::Unary(unary) => json!({
            "type": "unaryExpr",
            "op": if unary.negative { "-" } else { "+" },
            "expr": node(&unary.expr),
        }),
    }
}

fn selector(kind: &str, selector: &VectorSelector) -> Value {
    json!({
        "type": kind,
        "name": selector.name,
        "offset": duration(&selector.offset),
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "timestamp": fixed_time(selector.at),
        "startOrEnd": start_or_end(selector.at),
    })
}

fn matcher(matcher: &Matcher) -> Value {
    json!({"name": matcher.name, "value": matcher.value, "type": matcher.op.as_str()})
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({"card": card, "labels": matching.labels, "on": matching.on, "include": matching.include})
}

/// Milliseconds; 0 for one that depends on the query's times.
fn duration(duration: &DurationArg) -> Value {
    match duration {
        DurationArg::Fixed(ms) => json!(ms),
        DurationArg::Expr(_) => json!(0),
    }
}

fn fixed_time(at: Option<AtModifier>) -> Value {
    match at {
        Some(AtModifier::Timestamp(ms)) => json!(ms),
        Some(AtModifier::Start | AtModifier::End) | None => Value::Null,
    }
}

fn start_or_end(at: Option<AtModifier>) -> Value {
    match at {
        Some(AtModifier::Start) => json!("start"),
        Some(AtModifier::End) => json!("end"),
        Some(AtModifier::Timestamp(_)) | None => Value::Null,
    }
}
