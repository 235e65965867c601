// Making elements. Text only ever becomes text: nothing of the data is read as HTML.

/** @typedef {Record<string, string | number | boolean | undefined>} Attributes */
/** @typedef {Node | string | readonly (Node | string)[]} Child */

/** @param {Element} element @param {Attributes} attributes @param {readonly Child[]} children */
function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat());
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Attributes} [attributes] @param {readonly Child[]} children
 */
export const make = (tag, attributes = {}, ...children) =>
  /** @type {HTMLElementTagNameMap[K]} */ (filled(document.createElement(tag), attributes, children));

/** @param {string} tag @param {Attributes} [attributes] @param {readonly Child[]} children */
export const makeSvg = (tag, attributes = {}, ...children) =>
  /** @type {SVGElement} */ (filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children));

/** The element with an id. @param {string} id */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * Elements that match a selector. Those of SVG have all that is asked of them here, but for `hidden`.
 * @param {string} selector @param {ParentNode} [within] @returns {HTMLElement[]}
 */
export const all = (selector, within = document) =>
  /** @type {HTMLElement[]} */ ([...within.querySelectorAll(selector)]);

/**
 * Lets the arrow keys move among the members of a group, of which one is reached by Tab; Enter and Space choose, like a click.
 * @param {Element} group @param {string} selector
 */
export function roving(group, selector) {
  const members = () => all(selector, group);
  const first = members()[0];
  if (first !== undefined) first.setAttribute('tabindex', '0');
  group.addEventListener('keydown', (event) => {
    const { key, target } = /** @type {KeyboardEvent} */ (event);
    const own = members();
    const at = own.indexOf(/** @type {HTMLElement} */ (target));
    if (at < 0) return;
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, Home: -at, End: own.length - 1 - at };
    const step = steps[/** @type {keyof typeof steps} */ (key)];
    if (step !== undefined) {
      event.preventDefault();
      const next = own[Math.min(own.length - 1, Math.max(0, at + step))];
      own[at]?.setAttribute('tabindex', '-1');
      next?.setAttribute('tabindex', '0');
      next?.focus();
    } else if ((key === 'Enter' || key === ' ') && own[at]?.tagName !== 'BUTTON') {
      event.preventDefault();
      own[at]?.dispatchEvent(new MouseEvent('click', { bubbles: true }));
    }
  });
}
