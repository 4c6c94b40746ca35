// The few browser globals that modules read when they are loaded.

const location = { pathname: "/", search: "", href: "http://localhost/" };
Object.assign(globalThis, {
  document: { baseURI: "http://localhost/" },
  window: { location, addEventListener: () => undefined, history: { pushState: () => undefined, replaceState: () => undefined } },
});
export {};
