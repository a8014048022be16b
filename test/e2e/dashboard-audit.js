/**
 * Looks at the page it runs in as a reader would who sees badly or not at all; the value is a list of complaints.
 *
 * Contrast by WCAG 2.2 (1.4.3: 4.5 to 1, 3 to 1 for large text), names of controls and pictures, and text that does not fit its box.
 */
(() => {
  const complaints = [];
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  // Whatever way a colour is written, a canvas knows its parts.
  const partsOf = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    if (element === null) return partsOf('Canvas');
    const parts = partsOf(getComputedStyle(element).backgroundColor);
    return parts[3] === 255 ? parts : behind(element.parentElement);
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((left, right) => right - left);
    return (light + 0.05) / (dark + 0.05);
  };
  const describe = (element) => `${element.tagName.toLowerCase()} "${element.textContent.trim().slice(0, 30)}"`;
  for (const element of document.querySelectorAll('body *')) {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (box.width <= 1 || box.height <= 1 || style.visibility === 'hidden') continue;
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    if (own && element.closest('svg') === null) {
      const ratio = contrast(partsOf(style.color), behind(element));
      const large = parseFloat(style.fontSize) >= 24;
      if (ratio < (large ? 3 : 4.5)) complaints.push(`${describe(element)}: contrast ${ratio.toFixed(2)}`);
    }
    if (own && element.closest('svg') !== null && !element.classList.contains('self-label')) {
      const ratio = contrast(partsOf(style.fill), behind(element.closest('svg').parentElement));
      if (ratio < 4.5) complaints.push(`${describe(element)}: contrast ${ratio.toFixed(2)}`);
    }
    const boxed = style.display !== 'inline' && element.closest('svg') === null && !element.matches('textarea, select');
    if (own && boxed && element.scrollWidth > element.clientWidth + 1)
      complaints.push(`${describe(element)}: does not fit`);
    if (box.right > innerWidth + 1 || box.left < -1) complaints.push(`${describe(element)}: beyond the edge`);
    if (element.matches('button, select, textarea, input')) {
      const named =
        element.labels?.length > 0 || element.getAttribute('aria-label') || element.textContent.trim() !== '';
      if (!named) complaints.push(`${describe(element)}: has no name`);
      if (box.height < 24) complaints.push(`${describe(element)}: too small to hit`);
    }
    if (element.getAttribute('role') === 'img' && !element.getAttribute('aria-label'))
      complaints.push(`${describe(element)}: a picture without words`);
  }
  const headings = [...document.querySelectorAll('h1, h2, h3')].map((element) => Number(element.tagName[1]));
  for (let at = 1; at < headings.length; at++) {
    if (headings[at] > headings[at - 1] + 1)
      complaints.push(`a heading of level ${headings[at]} after one of ${headings[at - 1]}`);
  }
  return complaints;
})();
