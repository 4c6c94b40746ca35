//! Templates and what they render, one case per line.

use std::sync::Arc;

use go_template::{
    CallError, Function, Functions, GoDuration, GoTime, Limits, Map, MissingKey, Mode, Object, TemplateError,
    TemplateSet, Value,
};

/// A struct with a map-like field, a method with arguments and one without.
#[derive(Debug)]
struct Person;

impl Object for Person {
    fn type_name(&self) -> &str {
        "main.Person"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some(Value::from("Ada")),
            "Age" => Some(Value::Int(36)),
            _ => None,
        }
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, CallError>> {
        match name {
            "Greet" => Some(match args {
                [word] => Ok(Value::from(format!("{}, Ada", word.as_str().unwrap_or_default()))),
                _ => Err(format!("wrong number of args for Greet: want 1 got {}", args.len()).into()),
            }),
            "Friends" => Some(Ok(Value::strings(["Charles", "Mary"]))),
            "Fail" => Some(Err("no luck".into())),
            _ => None,
        }
    }
}

fn functions() -> Functions {
    let mut functions = Functions::builtins();
    functions
        .add("toUpper", 1, 1, |args| Ok(Value::from(args.str(0)?.to_uppercase())))
        .add("join", 2, 2, |args| {
            let parts: Vec<String> =
                args.list(1)?.iter().map(|v| v.as_str().unwrap_or_default().to_owned()).collect();
            Ok(Value::from(parts.join(args.str(0)?)))
        })
        .add("safeHtml", 1, 1, |args| Ok(Value::SafeHtml(args.str(0)?.into())))
        .add("safeUrl", 1, 1, |args| Ok(Value::SafeUrl(args.str(0)?.into())))
        .add("fail", 0, 0, |_| Err("told to".into()))
        .add("double", 1, 1, |args| Ok(Value::Int(args.int(0)? * 2)))
        .insert(
            "tmpl",
            Function::new(2, 2, |caller, args| {
                let name = args[0].as_str().unwrap_or_default();
                Ok(Value::SafeHtml(caller.render(name, &args[1])?.into()))
            }),
        );
    functions
}

fn data() -> Value {
    Value::from(Map::of_values([
        ("Labels", Map::of_strings([("alertname", "Down"), ("job", "node"), ("x", "<b>'\"&+")]).into()),
        ("Empty", Map::of_strings::<&str, &str>([]).into()),
        ("List", Value::strings(["a", "b", "c"])),
        ("Ints", Value::list([Value::Int(3), Value::Int(1), Value::Int(2)])),
        ("None", Value::list([])),
        ("N", Value::Int(42)),
        ("F", Value::Float(3.25)),
        ("Big", Value::Float(1e21)),
        ("Small", Value::Float(0.00001)),
        ("S", Value::from("hello")),
        ("U", Value::from("grüße")),
        ("T", Value::Bool(true)),
        ("Zero", Value::Int(0)),
        ("Null", Value::Nil),
        ("P", Value::object(Person)),
        ("When", GoTime::from_ns(1_700_000_000_123_456_789).into_value()),
        ("D", GoDuration(5_425_500_000_000).into_value()),
        ("Fn", Value::Function(Function::new(1, 1, |_, args| Ok(args[0].clone())))),
    ]))
}

fn render_in(
    text: &str,
    mode: Mode,
    missing_key: MissingKey,
    limits: &Limits,
) -> Result<String, TemplateError> {
    let functions = functions();
    let mut set = TemplateSet::new("t", missing_key);
    set.parse("t", text, &functions)?;
    set.render("t", &data(), &functions, mode, limits)
}

fn check_file(content: &str, mode: Mode) {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (idx, line) in content.lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        let (template, expected) = line.split_once(" => ").unwrap_or((line, ""));
        let unescape = |text: &str| text.replace('⏎', "\n");
        let shown = match render_in(&unescape(template), mode, MissingKey::Zero, &Limits::default()) {
            Ok(text) => format!("|{text}|"),
            Err(error) => format!("error {error}"),
        };
        if shown != unescape(expected) {
            wrong.push(format!("line {}: {template}\n   got: {shown}\n  want: {expected}", idx + 1));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 20, "{count} cases");
}

#[test]
fn text_templates() {
    check_file(include_str!("data/text.txt"), Mode::Text);
}

#[test]
fn printf_verbs() {
    check_file(include_str!("data/printf.txt"), Mode::Text);
}

#[test]
fn errors_name_their_place() {
    check_file(include_str!("data/errors.txt"), Mode::Text);
}

#[test]
fn html_templates() {
    check_file(include_str!("data/html.txt"), Mode::Html);
}

#[test]
fn missing_keys_follow_the_option() {
    let render = |text, option| {
        render_in(text, Mode::Text, option, &Limits::default()).map_err(|error| error.to_string())
    };
    for (text, option, expected) in [
        ("{{.Labels.nope}}", MissingKey::Default, Ok("<no value>")),
        ("{{.Labels.nope}}", MissingKey::Zero, Ok("")),
        ("{{.nope}}", MissingKey::Zero, Ok("<no value>")),
        ("{{.nope.more}}", MissingKey::Default, Ok("<no value>")),
        (
            "{{.Labels.nope}}",
            MissingKey::Error,
            Err("template: t:1:9: executing \"t\" at <.Labels.nope>: map has no entry for key \"nope\""),
        ),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(render(text, option), expected, "{text} {option:?}");
    }
}

#[test]
fn rendering_is_bounded() {
    let limits = Limits { steps: 10_000, depth: 60, output_bytes: 1000 };
    for (text, what) in [
        ("{{range 1000000}}{{end}}", "steps"),
        ("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}", "levels of nesting"),
        ("{{range 600}}ab{{end}}", "bytes of output"),
        ("{{printf \"%9000d\" 1}}", "bytes of output"),
        ("{{define \"a\"}}{{tmpl \"a\" 1}}{{end}}{{tmpl \"a\" 1}}", "levels of nesting"),
    ] {
        match render_in(text, Mode::Text, MissingKey::Zero, &limits) {
            Err(TemplateError::Limit { what: met, .. }) => assert_eq!(met, what, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = format!("{}.{}", "{{".to_owned() + &"(".repeat(500), ")".repeat(500) + "}}");
    assert!(render_in(&deep, Mode::Text, MissingKey::Zero, &limits).is_err());
}

#[test]
fn several_texts_make_one_set() {
    let functions = functions();
    let mut set = TemplateSet::new("", MissingKey::Zero);
    set.parse("default.tmpl", r#"{{define "title"}}default{{end}}{{define "x"}}x{{end}}"#, &functions)
        .unwrap();
    set.parse(
        "mine.tmpl",
        r#"{{define "title"}}mine {{template "x"}}{{end}}{{define "x"}}  {{end}}"#,
        &functions,
    )
    .unwrap();
    let render = |name: &str| {
        set.render(name, &Value::Nil, &functions, Mode::Text, &Limits::default()).map_err(|e| e.to_string())
    };
    assert_eq!(render("title"), Ok("mine x".to_owned()), "later wins, but not when it is empty");
    assert_eq!(
        render("nope"),
        Err("template: no template \"nope\" associated with template \"\"".to_owned())
    );
    assert!(set.contains("title") && set.names().any(|name| name == "mine.tmpl"));
    let shared = Arc::new(set.clone());
    assert_eq!(shared.names().count(), set.names().count());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
    #[test]
    fn any_text_is_rendered_or_refused(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{{", "}}", " ", ".", "$", "$x", ":=", "=", "|", "(", ")", "if", "else", "end", "range", "with",
            "define", "template", "block", "break", "\"a\"", "`r`", "'c'", "1", "-1.5e3", ".Labels", ".List", "printf",
            "\"%d %s %v\"", "index", "slice", "len", "eq", "and", "not", "-", "- ", "/*", "*/", "é", "\n", "<a href=",
            "<script>", "'", "\"", ",", "html", "0x", "call", "nil", "true",
        ]), 0..25),
    ) {
        let text = parts.concat();
        for mode in [Mode::Text, Mode::Html] {
            let _ignored = render_in(&text, mode, MissingKey::Zero, &Limits::default());
        }
    }

    #[test]
    fn printf_never_panics(format in "[%+\\-# 0-9*.\\[\\]vTtdsqxXeEfFgGcUbop]{0,12}", n in -5i64..5000, f: f64) {
        let args = [Value::Int(n), Value::Float(f), Value::from("x\u{0}é"), Value::Nil];
        let _text = go_template::sprintf(&format, &args);
    }
}
