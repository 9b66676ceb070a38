import { DataSource } from 'typeorm';
import { entities } from './src/app.entities.js';
import { loadProcessConfig } from './src/config/config.js';
import { settingsOf, writerOptions } from './src/database/data-source-options.js';

const config = loadProcessConfig();

/** The data source of the TypeORM command line: `npm run migration:generate -- src/database/migrations/<name>`. */
export default new DataSource(writerOptions(settingsOf(config, { entities })));
