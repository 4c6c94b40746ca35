//! Embedding is done again when the built UI changes. Nothing is built here: `npm run build` is the user's step.

fn main() {
    // A path that is missing would run this at every build.
    let built = std::path::Path::new("ui/dist").exists();
    println!("cargo::rerun-if-changed={}", if built { "ui/dist" } else { "ui" });
}
