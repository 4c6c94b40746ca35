// Log lines as a file.

import type { LogLine } from "../api/loki";

export type DownloadFormat = "txt" | "ndjson" | "csv";

const quote = (text: string) => `"${text.replace(/"/g, '""')}"`;

/** What the file holds; a spreadsheet must not take a cell for a formula. */
export function fileContent(lines: LogLine[], format: DownloadFormat): string {
  const cell = (text: string) => quote(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  if (format === "txt") return lines.map((line) => line.text).join("\n") + "\n";
  if (format === "ndjson") return lines.map((line) => JSON.stringify({ time: line.ns, labels: line.labels, fields: line.fields, line: line.text })).join("\n") + "\n";
  const rows = lines.map((line) => [line.ns, new Date(line.ms).toISOString(), cell(JSON.stringify(line.labels)), cell(line.text)].join(","));
  return ["ns,time,labels,line", ...rows].join("\n") + "\n";
}

export function downloadLines(lines: LogLine[], format: DownloadFormat) {
  saveFile(`logs.${format}`, fileContent(lines, format));
}

export function saveFile(name: string, content: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
