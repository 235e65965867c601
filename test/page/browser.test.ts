// The page in a browser: from a file, without a word on the console or a request, by mouse and by keyboard.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ultramem } from '../cli/run-command.ts';
import { openBrowser, openFile } from './chromium.ts';
import { deep, type Example, examples } from './models.ts';
import { pageOf } from './written-page.ts';

const test = suite('page in a browser');
const browser = await openBrowser('pages of inspect --html');
const folder = mkdtempSync(join(tmpdir(), 'ultramem-page-'));
const file = (name: string): string => join(folder, `${name}.html`);

if (browser !== undefined) tests(browser);
test.after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});
test.run();

/** What a reader of the screen would hear nothing about. */
const namelessElements = `
  [...document.querySelectorAll('button, svg[role], select, input, [role=button]')]
    .filter((e) => !(e.getAttribute('aria-label') ?? e.closest('label')?.textContent ?? e.textContent ?? '').trim())
    .map((e) => e.outerHTML.slice(0, 120))`;

/** Text of what a selector finds first. */
const text = (page: Page, selector: string): Promise<string> => page.locator(selector).first().innerText();

function tests(browser: Browser): void {
  const [{ file: source, model }] = examples as [Example];

  test.before(async () => {
    const { status, stdout, stderr } = ultramem(['inspect', source, '--html', file('cpu')]);
    assert.is(status, 0, stderr);
    assert.is(stdout, '');
    assert.match(stderr, /^page written to .*cpu\.html: [\d.]+ KiB in [\d.]+ s\n$/);
    writeFileSync(file('cuda'), await pageOf(model, source, { target: 'cuda', precision: 'bf16' }));
    writeFileSync(file('deep'), await pageOf(deep, examples[8]!.file));
  });

  for (const name of ['cpu', 'cuda', 'deep']) {
    test(`${name}: loads in silence, and all is named`, async () => {
      const { page, complaints } = await openFile(browser, file(name));
      for (const section of ['overview', 'fusion', 'work', 'memory', 'parameters'])
        assert.ok(await page.locator(`#${section} h2`).isVisible(), section);
      for (const tab of await page.getByRole('tab').all()) await tab.click();
      const nameless = await page.evaluate(namelessElements);
      assert.equal(nameless, []);
      assert.equal(complaints, []);
      await page.close();
    });
  }

  test('a click on a kernel shows its ops, its lines in the model and its source; Esc closes', async () => {
    const { page, complaints } = await openFile(browser, file('cpu'));
    const kernel = page.locator('#map .kernel', { hasText: 'rescore_topk' }).first();
    await kernel.click();
    const panel = page.locator('#details');
    assert.is(await panel.locator('h2').innerText(), 'rescore_topk');
    const ops = await panel.locator('.ops li').allInnerTexts();
    assert.is(ops.length, 23);
    assert.ok(
      ops.some((op) => op.startsWith('%einsum_77 = einsum %gather_72, %concat_64 {equation="thar,hcrs->thcas"}')),
    );
    const shown = await panel.innerText();
    assert.match(shown, /Made by selectThenScore, fuseGatherDot, fuseGridTopk, fuseRescoreTopk/);
    // The lines of the user's file and of the presets, each marked.
    assert.match(shown, /model\.ts:29\n/);
    assert.match(shown, /ultramem\/models\/tucker\.ts:\d+, /);
    const marked = await panel.locator('.marked').allInnerTexts();
    assert.ok(marked.some((line) => line.includes('decoder(m, decoderFromConfig(config))')));
    assert.ok(marked.some((line) => line.includes("einsum('thar,hcrs->thcas', row.scores, core)")));
    // The emitted lines, and the header, whose text is there when asked for.
    assert.match(shown, /step_one\.cc:\d+–\d+/);
    assert.match(shown, /rescore_topk<2, 192, 2, 48, 16, 2, 16, 0, 0>\(/);
    assert.match(shown, /Stage 2 in one pass/);
    await panel.locator('details.header summary').click();
    assert.match(await panel.locator('.code.header .marked').innerText(), /void rescore_topk\(Pool& pool/);
    assert.is(await page.locator('#map .op.chosen').count(), 23);

    await page.keyboard.press('Escape');
    assert.not.ok(await panel.isVisible());
    assert.ok(await page.evaluate(`document.activeElement.dataset.kernel === '28'`), 'the focus is back');
    assert.equal(complaints, []);
    await page.close();
  });

  test('a click on a kernel of a device shows its .cu and its row of launches', async () => {
    const { page, complaints } = await openFile(browser, file('cuda'));
    await page.locator('#map .kernel', { hasText: 'rescore_topk' }).first().click();
    const shown = await page.locator('#details').innerText();
    assert.match(shown, /step_one\.cu:\d+–\d+/);
    assert.match(shown, /extern "C" __global__ void __launch_bounds__\(\d+, 1\) one_\d+_rescore_topk\(/);
    assert.match(shown, /launches\.cc:\d+\n/);
    assert.match(shown, /native\/cuda\/rescore_topk\.cuh/);
    assert.equal(complaints, []);
    await page.close();
  });

  test('tokens, kernels and machine change the figures', async () => {
    const { page, complaints } = await openFile(browser, file('cpu'));
    const figures = async () => ({
      bytes: await text(page, '#overview [data-figure=bytes]'),
      time: await text(page, '#overview [data-figure=time]'),
      kernels: await text(page, '#overview [data-figure=kernels]'),
      row: await text(page, '#kernels tbody tr:nth-child(3)'),
    });
    const one = await figures();
    await page.selectOption('#tokens', { label: '256' });
    const many = await figures();
    for (const [name, value] of Object.entries(one)) assert.is.not(many[name as keyof typeof many], value, name);
    assert.is(await text(page, '#step option:checked'), 'many (T 17–512)');
    assert.is(await page.locator('.memory:visible').getAttribute('data-step'), 'many');

    await page.selectOption('#step', { label: 'few (T 2–16)' });
    assert.is(await page.locator('#tokens').inputValue(), '1');
    assert.is(await page.locator('.memory:visible').getAttribute('data-step'), 'few');

    const here = await figures();
    await page.selectOption('#machine', { label: 'H100 SXM' });
    const there = await figures();
    assert.is(there.bytes, here.bytes, 'bytes do not depend on the machine');
    assert.is.not(there.time, here.time);
    assert.match(await text(page, '#overview [data-figure=machine]'), /^H100 SXM$/);
    await page.fill('#bandwidth', '1');
    assert.is.not((await figures()).time, there.time);
    assert.match(await text(page, '#overview [data-figure=machine]'), /^H100 SXM, edited$/);

    for (const order of ['time', 'kind']) {
      await page.check(`[name=order][value=${order}]`);
      assert.ok((await page.locator('#kernels tbody tr').count()) > 5, order);
    }
    await page.check('#cached');
    assert.equal(complaints, []);
    await page.close();
  });

  test('with the keyboard alone', async () => {
    const { page, complaints } = await openFile(browser, file('cpu'));
    const active = (what: string) => page.evaluate(`document.activeElement?.getAttribute('${what}')`);
    // To the tabs of the graph, through them, and back to the map.
    for (let i = 0; i < 30 && (await active('role')) !== 'tab'; i++) await page.keyboard.press('Tab');
    assert.is(await active('id'), 'tab-map');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    assert.ok(await page.locator('#kernels-one').isVisible());
    // A drawn kernel by Tab, arrows and Enter.
    for (let i = 0; i < 30 && (await active('data-kernel')) === null; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.is(await text(page, '#details h2'), 'norm');
    await page.keyboard.press('Escape');
    assert.not.ok(await page.locator('#details').isVisible());
    // The map's kernels are one stop of Tab; arrows lead on from there.
    await page.locator('#tab-kernels').focus();
    await page.keyboard.press('ArrowLeft');
    await page.keyboard.press('Enter');
    for (let i = 0; i < 30 && (await active('data-kernel')) === null; i++) await page.keyboard.press('Tab');
    assert.is(await active('data-kernel'), '0');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    assert.is(await text(page, '#details h2'), 'linear');
    assert.match(await text(page, '#details'), /launch 2 of the step one/);
    await page.keyboard.press('Escape');
    assert.is(await active('data-kernel'), '2', 'the focus is back');
    assert.equal(complaints, []);
    await page.close();
  });

  test('the memory of a step: words on a buffer, and the kernel that writes it', async () => {
    const { page, complaints } = await openFile(browser, file('cpu'));
    const buffer = page.locator('.memory:visible .buffer[aria-label^="v_norm_1,"]');
    await buffer.hover();
    assert.match(await text(page, '#buffer'), /^v_norm_1, f32\[T,192\]: 768 bytes from byte [\d,]+, launches 1 to 2$/);
    await buffer.click();
    assert.match(await text(page, '#details'), /^norm\n.*\nlaunch 1 of the step one/s);
    assert.equal(complaints, []);
    await page.close();
  });

  test('what is looked for is what is left; repeats unfold', async () => {
    const { page, complaints } = await openFile(browser, file('deep'));
    const count = () => page.locator('#map .kernel').count();
    const folded = await count();
    assert.ok((await page.locator('#map .fold').count()) > 0);
    await page.click('#unfold');
    const all = await count();
    assert.ok(all > 2 * folded, `${folded} kernels folded, ${all} in full`);
    assert.is(await page.locator('#map .fold').count(), 0);
    await page.fill('#search', 'blocks.7.');
    const found = await page.locator('#map .op').allInnerTexts();
    assert.ok(found.length > 3 && found.length < 60, String(found.length));
    assert.ok(found.some((op) => op.includes('blocks.7.ff_proj')));
    await page.fill('#search', 'nothing is called this');
    assert.is(await page.locator('#map .op').count(), 0);
    assert.equal(complaints, []);
    await page.close();
  });

  test('a narrow screen has no sideways scrolling; dark is dark', async () => {
    for (const width of [390, 768, 1280]) {
      const { page, complaints } = await openFile(browser, file('cpu'), { width, height: 844 });
      const wide = Number(await page.evaluate('document.documentElement.scrollWidth - window.innerWidth'));
      assert.ok(wide <= 0, `${wide} pixels too wide at ${width}`);
      await page.locator('#map .kernel').first().click();
      assert.ok(await page.locator('#details').isVisible());
      assert.equal(complaints, []);
      await page.close();
    }
    const background = async (colorScheme: 'light' | 'dark') => {
      const { page } = await openFile(browser, file('cpu'), { colorScheme });
      const colour = String(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await page.close();
      return Number(/\d+/.exec(colour));
    };
    assert.ok((await background('light')) > 240);
    assert.ok((await background('dark')) < 40);
  });
}
