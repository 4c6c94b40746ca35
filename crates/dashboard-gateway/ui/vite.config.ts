import { defineConfig } from "vitest/config";

// Relative asset paths: the page's <base href> carries the gateway's prefix.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic" },
  build: {
    target: "es2022",
    sourcemap: false,
    chunkSizeWarningLimit: 900,
    rollupOptions: {
      output: {
        manualChunks: (id) => (/codemirror|lezer/.test(id) ? "editor" : undefined),
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/prometheus", "/loki", "/alertmanager"].map((path) => [
        path,
        { target: process.env.WATCHBELL_URL ?? "http://localhost:3000", ws: true },
      ]),
    ),
  },
  test: { environment: "node", include: ["src/**/*.test.ts"], setupFiles: ["src/test-setup.ts"] },
});
