/* The calculator of the page: economics/cost.py in JavaScript, on the numbers that the page holds. A test compares both. */
"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const holder = byId("data");
  const data = holder ? JSON.parse(holder.textContent) : null;
  const set = {}; // what somebody set, in SI; everything else is as in the specs

  // Formulas, as economics/capital.py and economics/cost.py have them

  const recovery = (rate, periods) => (rate === 0 ? 1 / periods : -rate / Math.expm1(-periods * Math.log1p(rate)));
  const sinking = (rate, periods) => (rate === 0 ? 1 / periods : rate / Math.expm1(periods * Math.log1p(rate)));
  const payment = (capital, rate, life, residual) => {
    const perYear = rate * data.year, years = life / data.year;
    return (capital * (recovery(perYear, years) - residual * sinking(perYear, years))) / data.year;
  };

  /* Cost of a second by part [USD/s]: of owning, or of renting where a rent is given. */
  const costs = (ledger, terms, imported, use, rent) => {
    if (rent !== null) return [rent * ledger.accelerators, 0, 0, 0];
    const mean = ledger.idle + (ledger.busy - ledger.idle) * use;
    const capital = ledger.units * (ledger.price + ledger.network) * (1 + terms.import_tax * imported);
    return [
      payment(capital, terms.capital_rate, terms.capital_life, terms.capital_residual),
      payment(ledger.rated * terms.facility_capital, terms.facility_rate, terms.facility_life, 0),
      mean * terms.pue * terms.electricity_price + ledger.rated * terms.pue * terms.demand_charge,
      capital * terms.operation_fraction,
    ];
  };

  // Draws

  const unpacked = new Map();
  const draws = (place) => {
    if (!unpacked.has(place)) {
      const raw = atob(data.draws[place]), bytes = new DataView(new ArrayBuffer(raw.length));
      for (let k = 0; k < raw.length; k += 1) bytes.setUint8(k, raw.charCodeAt(k));
      unpacked.set(place, Float64Array.from({ length: raw.length / 4 }, (_, k) => bytes.getFloat32(4 * k, true)));
    }
    return unpacked.get(place);
  };
  /* A record at its values (draw < 0) or at one draw; numbers that were set replace both. */
  const at = (record, draw, given) => {
    const found = {};
    for (const [name, entry] of Object.entries(record)) {
      if (name in given) found[name] = given[name];
      else if (typeof entry === "number") found[name] = entry;
      else found[name] = draw < 0 ? entry[0] : draws(entry[1])[draw];
    }
    return found;
  };
  const quantile = (values, share) => {
    const sorted = Float64Array.from(values).sort(), place = share * (sorted.length - 1), low = Math.floor(place);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (place - low);
  };
  const span = (value, drawn) => [Math.min(value, quantile(drawn, 0.05)), Math.max(value, quantile(drawn, 0.95))];

  // State

  const fields = { electricity: "electricity_price", pue: "pue", life: "capital_life" };
  const site = () => (set.site in data.sites ? set.site : data.site);
  const use = () => (set.use === undefined ? data.use : set.use);
  const rent = () => (data.rent === null ? null : set.rent === undefined ? data.rent : set.rent);
  const prices = ["price_a", "price_b"];

  /* Cost of a token of a system, at values or at a draw [USD]; and its parts. */
  const parts = (system, draw, price) => {
    const place = data.sites[site()][system], terms = {}, own = {};
    for (const [key, name] of Object.entries(fields)) if (key in set) terms[name] = set[key];
    const wanted = price === undefined ? set[prices[system]] : price;
    if (wanted !== undefined) own.price = wanted;
    const ledger = at(data.ledgers[system], draw, own);
    return { ledger, cost: costs(ledger, at(place.terms, draw, terms), place.imported, use(), rent()) };
  };
  const total = (list) => list.reduce((sum, each) => sum + each, 0);
  const perToken = (system, draw, price) => {
    const found = parts(system, draw, price);
    return total(found.cost) / (found.ledger.rate * use());
  };

  const answer = () => {
    const found = [0, 1].map((k) => {
      const { ledger, cost } = parts(k, -1), each = 1e6 / (ledger.rate * use());
      const drawn = Array.from({ length: data.samples }, (_, draw) => perToken(k, draw) * 1e6);
      const value = total(cost) * each;
      const hour = (total(cost) * 3600) / ledger.accelerators;
      return { value, drawn, hour, span: span(value, drawn), stack: cost.map((part) => part * each), eligible: data.sites[site()][k].eligible };
    });
    const [a, b] = found, ratios = a.drawn.map((each, draw) => each / b.drawn[draw]), ratio = a.value / b.value;
    const ends = [perToken(0, -1, 0), perToken(0, -1, 1e6)];
    return {
      systems: found, ratio, span: span(ratio, ratios),
      chance: ratios.filter((each) => each < 1).length / ratios.length,
      even: data.rent === null ? ((b.value / 1e6 - ends[0]) / (ends[1] - ends[0])) * 1e6 : NaN,
    };
  };

  // Controls

  const write = (id, text, value) => {
    const node = byId(id);
    if (!node) return;
    node.textContent = text;
    if (value !== undefined) node.dataset.value = String(value);
  };
  const specValue = (control) => {
    const terms = at(data.sites[site()][0].terms, -1, {});
    if (control.key in fields) return terms[fields[control.key]];
    if (control.key === "use") return data.use;
    if (control.key === "rent") return data.rent;
    return at(data.ledgers[prices.indexOf(control.key)], -1, {}).price;
  };
  const money = (value, digits) => (Number.isFinite(value) ? `$${value.toFixed(digits)}` : "–");
  const sum = (value) => (value >= 1e6 ? `$${(value / 1e6).toFixed(value >= 9.95e6 ? 0 : 1)} M` : value >= 100 ? `$${Number(value.toPrecision(3)).toLocaleString("en-US")}` : `$${value.toFixed(2)}`);
  const chanceText = (chance) => (chance > 0.99 ? "over 99 %" : chance < 0.01 ? "under 1 %" : `${Math.round(chance * 100)} %`);

  const show = () => {
    const found = answer(), most = Math.max(...found.systems.map((each) => each.value));
    found.systems.forEach((each, k) => {
      const kind = "ab"[k];
      write(`cost-${kind}`, money(each.value, 3), each.value);
      write(`span-${kind}`, each.span.map((end) => end.toFixed(2)).join("–") + (each.eligible ? "" : "; these terms hold for domestic chips only"));
      byId(`span-${kind}`).dataset.low = each.span[0];
      byId(`span-${kind}`).dataset.high = each.span[1];
      write(`hour-${kind}`, money(each.hour, 2), each.hour);
      [...byId(`stack-${kind}`).children].forEach((box, part) => { box.style.width = `${((100 * each.stack[part]) / most).toFixed(3)}%`; });
    });
    write("ratio", found.ratio.toFixed(2), found.ratio);
    write("span-ratio", found.span.map((end) => end.toFixed(2)).join("–"));
    byId("span-ratio").dataset.low = found.span[0];
    byId("span-ratio").dataset.high = found.span[1];
    write("chance", chanceText(found.chance), found.chance);
    write("even", Number.isNaN(found.even) ? "–" : found.even > 0 ? sum(found.even) : "no price", found.even);
    for (const control of data.controls) {
      const value = (control.key in set ? set[control.key] : specValue(control)) / control.size;
      const text = String(Number(value.toPrecision(9)));
      const number = byId(`set-${control.key}`), slide = byId(`slide-${control.key}`);
      if (document.activeElement !== number) number.value = control.key in set ? text : value.toFixed(control.digits);
      slide.value = text;
      slide.setAttribute("aria-valuetext", `${Number(value.toPrecision(4))} ${control.unit}`.trim());
      number.classList.toggle("touched", control.key in set);
    }
    byId("set-site").value = site();
    return found;
  };
  let waiting = 0;
  const tell = (found) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const [a, b] = data.names, [first, second] = found.systems;
      write("told", `${a}: ${money(first.value, 2)}, ${b}: ${money(second.value, 2)} a million tokens; ${a} is cheaper with a probability of ${chanceText(found.chance)}.`);
    }, 400);
  };

  // The address holds what was set

  const keep = () => {
    const words = new URLSearchParams();
    if ("site" in set) words.set("site", set.site);
    for (const control of data ? data.controls : []) if (control.key in set) words.set(control.key, String(Number((set[control.key] / control.size).toPrecision(12))));
    if (root.dataset.theme) words.set("theme", root.dataset.theme);
    const text = words.toString();
    try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { /* some viewers forbid it */ }
  };
  const allowed = (control, value) => Number.isFinite(value) && value >= 0 && (control.key.startsWith("price") || value > 0) && (control.key !== "use" || value <= 100) && (control.key !== "pue" || value >= 1);
  const take = (control, text) => {
    const value = Number(text);
    if (text === "" || !allowed(control, value)) return false;
    set[control.key] = value * control.size;
    return true;
  };
  const read = () => {
    const words = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(set)) delete set[key];
    if (["light", "dark"].includes(words.get("theme"))) root.dataset.theme = words.get("theme");
    if (!data) return;
    if (words.get("site") in data.sites) set.site = words.get("site");
    for (const control of data.controls) if (words.has(control.key)) take(control, words.get(control.key));
  };

  const start = () => {
    const refresh = () => { tell(show()); keep(); };
    for (const control of data.controls) {
      for (const id of [`set-${control.key}`, `slide-${control.key}`]) {
        const node = byId(id);
        node.addEventListener("input", () => {
          const fine = take(control, node.value);
          node.setAttribute("aria-invalid", String(!fine));
          if (fine) refresh();
        });
      }
    }
    byId("set-site").addEventListener("change", (event) => { set.site = event.target.value; refresh(); });
    byId("live").addEventListener("reset", (event) => {
      event.preventDefault();
      for (const key of Object.keys(set)) delete set[key];
      refresh();
    });
    byId("live").addEventListener("submit", (event) => event.preventDefault());
    window.addEventListener("hashchange", () => { read(); tell(show()); });
    show();
  };

  // Switches and theme

  for (const group of document.querySelectorAll(".switched")) {
    const views = [...group.querySelectorAll(".view")];
    const choose = (name) => views.forEach((view) => view.classList.toggle("away", view.dataset.view !== name));
    for (const button of group.querySelectorAll("input")) {
      button.addEventListener("change", () => choose(button.value));
      if (button.checked) choose(button.value);
    }
  }
  read();
  const theme = byId("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const label = () => { theme.textContent = dark() ? "Light page" : "Dark page"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); keep(); });
  label();
  if (data) start();
})();
