import { render } from 'preact';
import { App } from './app.js';
import { applyTheme } from './theme.js';
import './base.css';
import './layout.css';
import './controls.css';
import './tables.css';
import './states.css';
import './overview.css';
import './chart.css';
import './stream.css';
import './dialogs.css';
import './narrow.css';

applyTheme();
const root = document.getElementById('app');
if (root) render(<App />, root);
