// Voila's script waits until its page has loaded. This page goes on loading while its notebook runs, and the panel, all
// that needs the script, is there before: what waits for the page to load is started when the panel is there.
(() => {
  const add = window.addEventListener.bind(window);
  const there = new Promise((resolve) => {
    const watching = new MutationObserver(() => {
      if (!document.querySelector(".cx-begin")) return;
      watching.disconnect();
      resolve();
    });
    watching.observe(document, { childList: true, subtree: true });
    add("load", resolve);
  });
  window.addEventListener = (type, listener, ...rest) => {
    if (type === "load" && typeof listener === "function" && document.readyState !== "complete") {
      there.then(() => listener.call(window, new Event("load")));
    } else {
      add(type, listener, ...rest);
    }
  };
})();

// The kernel of a page that rests for long has ended: then a choice changes nothing, and the page says so.
(() => {
  const PATIENCE = 15000;
  document.addEventListener("change", (event) => {
    const panel = event.target.closest(".cx-panel");
    const shown = panel && panel.querySelector(".widget-html-content");
    if (!shown) return;
    const waiting = setTimeout(() => {
      answered.disconnect();
      const told = document.createElement("p");
      told.className = "warning";
      told.setAttribute("role", "status");
      told.append("This page has rested for too long. ");
      const again = document.createElement("a");
      again.href = location.href;
      again.textContent = "Open it again";
      told.append(again);
      shown.prepend(told);
    }, PATIENCE);
    const answered = new MutationObserver(() => {
      clearTimeout(waiting);
      answered.disconnect();
    });
    answered.observe(shown, { childList: true });
  });
})();
