// Live values, tabs, confirmation in place, and moving servers in a priority group. Every page works without it.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
document.documentElement.classList.add("scripted");

// A menu that is wider than the window begins where one is.
const here = $(".top nav [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - innerWidth / 3;

// Spoken to people who do not see the page.
const say = text => {
  const region = $("[data-announce]");
  if (region) region.textContent = text;
};

// ---- Live values. ----

const stream = { source: null, retry: 1000, heard: Date.now(), timer: 0 };

function streamState(kind, words) {
  const box = $("[data-stream]");
  if (!box) return;
  box.hidden = false;
  if ($("[data-stream-text]").textContent === words) return;
  $("[data-stream-text]").textContent = words;
  $(".dot", box).className = `dot ${kind}`;
}

function put(name, html) {
  for (const place of $$(`[data-part="${CSS.escape(name)}"]`)) {
    const focused = place.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
    place.innerHTML = html;
    if (focused) $$("a[href], [id]", place).find(it => it.id === focused || it.getAttribute("href") === focused)?.focus({ preventScroll: true });
  }
}

function hear(event) {
  stream.heard = Date.now();
  stream.retry = 1000;
  const parts = JSON.parse(event.data);
  for (const [name, html] of Object.entries(parts)) {
    if (name === "announce") say(html);
    else put(name, html);
  }
  streamState("ok", "Live");
}

function listen() {
  const kind = document.body.dataset.live;
  if (!kind || stream.source || document.hidden) return;
  stream.heard = Date.now();
  const source = stream.source = new EventSource(`/live/${kind}`);
  source.addEventListener("parts", hear);
  source.addEventListener("beat", hear);
  source.addEventListener("error", () => {
    streamState("warning", "Reconnecting");
    // A browser gives up for good after an answer that is not 200: begin again, and see whether somebody is signed in.
    if (source.readyState !== EventSource.CLOSED) return;
    hush();
    clearTimeout(stream.timer);
    stream.timer = setTimeout(async () => {
      stream.retry = Math.min(stream.retry * 2, 15000);
      const answer = await fetch("/api/v1/session", { headers: { accept: "application/json" } }).catch(() => null);
      if (answer?.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
      else listen();
    }, stream.retry);
  });
}

function hush() {
  stream.source?.close();
  stream.source = null;
}

document.addEventListener("visibilitychange", () => document.hidden ? hush() : listen());
addEventListener("pagehide", hush);
addEventListener("pageshow", event => event.persisted && listen());
setInterval(() => {
  if (document.hidden || !document.body.dataset.live || Date.now() - stream.heard < 10000) return;
  const since = new Date(stream.heard).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  streamState("bad", `Stale since ${since}`);
}, 1000);
listen();

// ---- Tabs: links to panels without script. ----

for (const box of $$("[data-tabs]")) {
  const list = $(".tablist", box);
  const tabs = $$("a", list);
  const panelOf = tab => document.getElementById(tab.getAttribute("href").slice(1));
  const show = (tab, focus) => {
    for (const other of tabs) {
      const on = other === tab;
      other.setAttribute("aria-selected", on);
      other.tabIndex = on ? 0 : -1;
      panelOf(other).hidden = !on;
    }
    if (focus) tab.focus();
    history.replaceState(null, "", tab.getAttribute("href"));
  };
  list.setAttribute("role", "tablist");
  for (const tab of tabs) {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panelOf(tab).id);
    tab.id = `tab-${panelOf(tab).id}`;
    panelOf(tab).setAttribute("role", "tabpanel");
    panelOf(tab).setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", event => { event.preventDefault(); show(tab); });
    tab.addEventListener("keydown", event => {
      const at = tabs.indexOf(tab);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      show(tabs[(to + tabs.length) % tabs.length], true);
    });
  }
  const wanted = tabs.find(tab => tab.getAttribute("href") === location.hash) ?? tabs[0];
  if (wanted) {
    const hash = location.hash;
    show(wanted);
    if (!hash) history.replaceState(null, "", location.pathname + location.search);
  }
}

// ---- Press, then press again to confirm: same place, other colour and word, five seconds. ----

for (const form of $$("form[data-confirm]")) {
  const button = $("button", form);
  const calm = button.innerHTML;
  let timer = 0;
  const back = () => {
    clearTimeout(timer);
    timer = 0;
    button.classList.remove("confirming");
    button.innerHTML = calm;
  };
  form.addEventListener("submit", event => {
    if (timer) {
      clearTimeout(timer);
      form.insertAdjacentHTML("beforeend", '<input type="hidden" name="confirm" value="yes">');
      button.setAttribute("aria-disabled", "true");
      return;
    }
    event.preventDefault();
    const label = $(".label", button) ?? button;
    label.textContent = label === button ? form.dataset.confirm : `${form.dataset.confirm}: ${label.textContent}`;
    button.classList.add("confirming");
    say(`Press again to confirm: ${label.textContent}`);
    timer = setTimeout(() => { back(); say("Not confirmed. Nothing was done."); }, 5000);
  });
  form.addEventListener("keydown", event => event.key === "Escape" && timer && back());
}

// ---- Priority groups: buttons and drag, spoken, saved by the button only. ----

for (const list of $$("[data-sortable]")) {
  const items = () => $$(":scope > li", list);
  const settle = item => {
    items().forEach((it, at, all) => {
      $(".place", it).textContent = at + 1;
      $('[data-move="up"]', it).disabled = at === 0;
      $('[data-move="down"]', it).disabled = at === all.length - 1;
    });
    if (item) say(`${item.dataset.name} is now ${items().indexOf(item) + 1} of ${items().length}`);
  };
  list.addEventListener("click", event => {
    const button = event.target.closest("[data-move]");
    if (!button) return;
    event.preventDefault();
    const item = button.closest("li");
    if (button.dataset.move === "up") item.previousElementSibling?.before(item);
    else item.nextElementSibling?.after(item);
    settle(item);
    (button.disabled ? $("[data-move]:not(:disabled)", item) : button)?.focus();
  });
  if (list.closest("fieldset:disabled")) continue;
  for (const item of items()) {
    item.addEventListener("pointerdown", event => {
      if (event.target.closest("button, input, label") || event.button) return;
      event.preventDefault();
      item.classList.add("held");
      const move = at => {
        const over = document.elementFromPoint(at.clientX, at.clientY)?.closest("li");
        if (!over || over === item || over.parentElement !== list) return;
        const box = over.getBoundingClientRect();
        if (at.clientY < box.top + box.height / 2) over.before(item);
        else over.after(item);
      };
      const drop = () => {
        item.classList.remove("held");
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", drop);
        removeEventListener("pointercancel", drop);
        settle(item);
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", drop);
      addEventListener("pointercancel", drop);
    });
  }
}

// What was wrong with a form comes first.
$("[data-focus]")?.focus();
